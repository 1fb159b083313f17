"""The checks of an exported file. registry.py lists them in the order in which they run."""
