"""What a server counts, added up over its workers, and written as Prometheus reads it."""
