"""How a client's channel is set up: the address, the retries and the limits. Shared by both clients."""

import ipaddress
import json
from dataclasses import dataclass

import grpc

from conveyor_client.attempts import CALL_BACKOFF
from conveyor_client.connection import Connection
from conveyor_client.errors import ConveyorClientError
from conveyor_client.version import __version__

DEFAULT_ADDRESS = "localhost:8001"
DEFAULT_TIMEOUT = 30.0  # seconds
MAX_ATTEMPTS = 5  # gRPC itself allows no more
MAX_MESSAGE_BYTES = 64 * 1024 * 1024

_INITIAL_RECONNECT_MS, _MAX_RECONNECT_MS = 100, 500

_SERVICE = "conveyor.v1.ClassifierService"
_DEFAULTS = Connection()
Options = list[tuple[str, str | int]]


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where to connect: gRPC's target, and whether the address asked for TLS."""

    address: str
    tls: bool

    @property
    def stays_on_this_machine(self) -> bool:
        """Whether what is sent there can be read by nobody on a network."""
        places = self.address.removeprefix("ipv4:").removeprefix("ipv6:").split(",")
        return self.address.startswith("unix") or all(_is_loopback(_host(place)) for place in places)


def parse_address(address: str) -> Target:
    """Reads HOST:PORT, a list of IP:PORT with commas, grpc://…, grpcs://… (TLS) or any target of gRPC's own.

    Raises ConveyorClientError for an http address: gRPC calls have no path and no proxy of that kind.
    """
    scheme, found, rest = address.partition("://")
    if found and scheme in ("http", "https"):
        raise ConveyorClientError(
            f"{address} is an HTTP address; give the gRPC one as HOST:PORT, such as localhost:8001"
        )
    if found and scheme in ("grpc", "grpcs"):
        return Target(address=_listed(rest.rstrip("/")), tls=scheme == "grpcs")
    return Target(address=_listed(address), tls=False)


def channel_options(max_attempts: int, connection: Connection = _DEFAULTS, target: Target | None = None) -> Options:
    """Channel arguments: retries with back-off, balancing, message limits in bytes and the user agent.

    gRPC itself tries questions about models again; calls that classify are tried again by the client: see attempts.py.
    """
    options: Options = [
        ("grpc.service_config", json.dumps(_service_config(max_attempts, connection))),
        ("grpc.enable_retries", 1),
        ("grpc.initial_reconnect_backoff_ms", _INITIAL_RECONNECT_MS),
        ("grpc.max_reconnect_backoff_ms", _MAX_RECONNECT_MS),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.primary_user_agent", f"{connection.user_agent} conveyor-python/{__version__}".strip()),
    ]
    if target is not None and "," in target.address and not connection.server_name:
        # Of a list gRPC would make one long host name.
        options.append(("grpc.default_authority", target.address.partition(":")[2].partition(",")[0]))
    return options + connection.channel_options()


def credentials_for(
    target: Target, connection: Connection, credentials: grpc.ChannelCredentials | None
) -> grpc.ChannelCredentials | None:
    """The credentials to open the channel with; None means without TLS.

    Raises ConveyorClientError for a token that would cross a network in clear.
    """
    if credentials is None and (target.tls or connection.uses_tls):
        credentials = connection.credentials()
    in_clear = credentials is None and not target.stays_on_this_machine
    if connection.token is not None and in_clear and not connection.token_in_clear:
        raise ConveyorClientError(
            f"a token to {target.address} would be sent in clear; write grpcs://{target.address} for TLS, "
            "or set token_in_clear where something else encrypts"
        )
    return credentials


def _service_config(max_attempts: int, connection: Connection) -> dict[str, object]:
    questions: dict[str, object] = {"name": [{"service": _SERVICE}]}
    classify = {"name": [{"service": _SERVICE, "method": method} for method in ("Classify", "ClassifyStream")]}
    if max_attempts > 1:
        questions["retryPolicy"] = {
            "maxAttempts": min(max_attempts, MAX_ATTEMPTS),
            "initialBackoff": f"{CALL_BACKOFF.initial}s",
            "maxBackoff": f"{CALL_BACKOFF.maximum}s",
            "backoffMultiplier": CALL_BACKOFF.multiplier,
            "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
        }
    return {"loadBalancingConfig": [{connection.load_balancing: {}}], "methodConfig": [questions, classify]}


def _listed(address: str) -> str:
    """gRPC's target for a list of addresses; any other address as it is."""
    if "," not in address or address.startswith(("ipv4:", "ipv6:")):
        return address
    places = [place.strip() for place in address.split(",")]
    versions = {_ip_version(_host(place)) for place in places}
    if len(versions) != 1 or versions == {0}:
        raise ConveyorClientError(
            f"{address} is no list of IP addresses of one kind; give IP:PORT,IP:PORT, or one name that has them all"
        )
    return f"ipv{versions.pop()}:{','.join(places)}"


def _host(place: str) -> str:
    return place.rpartition(":")[0].strip("[]")


def _ip_version(host: str) -> int:
    try:
        return ipaddress.ip_address(host).version
    except ValueError:
        return 0


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_ip_version(host) != 0 and ipaddress.ip_address(host).is_loopback)
