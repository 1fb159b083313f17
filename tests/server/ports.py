"""Ports for servers that cannot take just any: a number that is known before, one for gRPC and HTTP."""

import socket


def free_port() -> str:
    """One that was free a moment ago."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def one_port() -> tuple[str, ...]:
    """Flags of `conveyor serve` for a port that carries gRPC and HTTP."""
    port = free_port()
    return ("--engine", "envoy", "--port", port, "--http-port", port)
