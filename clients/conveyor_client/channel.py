"""How a client's channel is set up: the address, the retries and the limits. Shared by both clients."""

import json
from dataclasses import dataclass

import grpc

from conveyor_client.errors import ConveyorClientError
from conveyor_client.version import __version__

DEFAULT_ADDRESS = "localhost:8001"
DEFAULT_TIMEOUT = 30.0  # seconds
MAX_ATTEMPTS = 5  # gRPC itself allows no more
MAX_MESSAGE_BYTES = 64 * 1024 * 1024

_SERVICE = "conveyor.v1.ClassifierService"
Options = list[tuple[str, str | int]]


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where to connect: gRPC's target, and whether the address asked for TLS."""

    address: str
    tls: bool


def parse_address(address: str) -> Target:
    """Reads HOST:PORT, grpc://HOST:PORT, grpcs://HOST:PORT (TLS) or any target of gRPC's own (dns:///, unix:).

    Raises ConveyorClientError for an http address: gRPC calls have no path and no proxy of that kind.
    """
    scheme, found, rest = address.partition("://")
    if not found:
        return Target(address=address, tls=False)
    if scheme in ("http", "https"):
        raise ConveyorClientError(
            f"{address} is an HTTP address; give the gRPC one as HOST:PORT, such as localhost:8001"
        )
    if scheme in ("grpc", "grpcs"):
        return Target(address=rest.rstrip("/"), tls=scheme == "grpcs")
    return Target(address=address, tls=False)


def channel_options(max_attempts: int) -> Options:
    """Channel arguments: retries with back-off, message limits in bytes and the user agent.

    A call is tried again when the server is unreachable, stopping or full, all of which it says before any work is
    done. gRPC waits as long as the server's grpc-retry-pushback-ms asks, or backs off by itself.
    """
    return [
        ("grpc.service_config", json.dumps(_service_config(max_attempts))),
        ("grpc.enable_retries", 1),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.primary_user_agent", f"conveyor-python/{__version__}"),
    ]


def credentials_for(target: Target, credentials: grpc.ChannelCredentials | None) -> grpc.ChannelCredentials | None:
    """The credentials to open the channel with; None means without TLS."""
    if credentials is None and target.tls:
        return grpc.ssl_channel_credentials()
    return credentials


def _service_config(max_attempts: int) -> dict[str, object]:
    method: dict[str, object] = {"name": [{"service": _SERVICE}]}
    if max_attempts > 1:
        method["retryPolicy"] = {
            "maxAttempts": min(max_attempts, MAX_ATTEMPTS),
            "initialBackoff": "0.05s",
            "maxBackoff": "1s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
        }
    return {"methodConfig": [method]}
