"""Which version of a model answers, which one is on trial, and how the two compare."""
