"""Other servers with the same model on the same core: `make bench-rivals`."""
