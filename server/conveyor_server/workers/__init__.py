"""Several processes behind one port: a parent that owns what they share, and workers that serve."""
