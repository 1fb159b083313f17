"""The `conveyor` command: a thin, lazy dispatcher over the other packages."""
