"""Latency and throughput of a Conveyor server, measured from the client's side."""
