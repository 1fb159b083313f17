"""Ports for servers that cannot take just any: one number for gRPC and HTTP."""

import socket


def one_port() -> tuple[str, ...]:
    """Flags of `conveyor serve` for a port that was free a moment ago, and carries gRPC and HTTP."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    return ("--engine", "envoy", "--port", port, "--http-port", port)
