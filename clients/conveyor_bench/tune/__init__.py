"""`conveyor tune`: which settings of the server carry the most on this machine within a latency limit."""
