"""Envoy's configuration, as the dictionary that its JSON file holds. Its limits are here, each with its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from conveyor_server.engines.envoy.secrets import transport_socket
from conveyor_server.listening import Listening

APPLICATION: Final = "conveyor_server.engines.envoy.inside:application"
STAT_PREFIX: Final = "grpc"
KIB: Final = 1024

_TYPE: Final = "type.googleapis.com/envoy.extensions"

# Bytes that one stream, and one connection, may have on the way to a handler that does not read them yet.
STREAM_WINDOW: Final = 1024 * KIB
CONNECTION_WINDOW: Final = 64 * 1024 * KIB
# A connection of which most calls are cancelled within a second, this many at least, is closed: it only burns time.
# Callers whose deadlines pass under load do not get there: they are answered, or wait longer than a second.
MAX_PREMATURE_RESETS: Final = 10_000

# Bytes of freed memory that its allocator, which is also Python's in this process, gives back to the system each
# second. It gives none back by itself: a few huge images would be remembered for ever.
RELEASED_BYTES: Final = 16 * 1024 * 1024

RUNTIME: Final = {
    # The default codec closes a connection that resets more than a few dozen streams a second, innocent calls and all.
    "envoy.reloadable_features.http2_use_oghttp2": True,
    "overload.premature_reset_total_stream_count": 2 * MAX_PREMATURE_RESETS,
    "overload.premature_reset_min_stream_lifetime_seconds": 1,
}


def envoy_configuration(listening: Listening, filters: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """One listener for gRPC, whose calls go to the application; `filters` load it. `folder` is for Envoy alone."""
    return {
        # Envoy asks for a name before it reads certificates from files.
        "node": {"id": "conveyor", "cluster": "conveyor"},
        # A socket in a private folder: nobody else can reach it.
        "admin": {"address": {"pipe": {"path": str(admin_socket_in(folder)), "mode": 0o600}}},
        "layered_runtime": {"layers": [{"name": "conveyor", "static_layer": RUNTIME}]},
        "overload_manager": {"resource_monitors": [_connection_limit(listening.max_connections)]},
        "memory_allocator_manager": {"bytes_to_release": RELEASED_BYTES, "memory_release_interval": "1s"},
        "static_resources": {"listeners": [_listener(listening, filters, folder)]},
    }


def admin_socket_in(folder: Path) -> Path:
    """Where Envoy's administration listens."""
    return folder / "admin.sock"


def python_filters(application: str) -> list[dict[str, Any]]:
    """How Envoy loads Python and an ASGI application ("module:attribute"), in pyvoy's own words."""
    from pyvoy import PyvoyServer

    pyvoy = PyvoyServer(application, lifespan=True, loop="uvloop").get_envoy_config()
    chain = pyvoy["static_resources"]["listeners"][0]["filter_chains"][0]
    filters: list[dict[str, Any]] = chain["filters"][0]["typed_config"]["http_filters"]
    return filters


def _listener(listening: Listening, filters: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
    manager: dict[str, Any] = {
        "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": STAT_PREFIX,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"]}]},
        "http_filters": filters,
        "generate_request_id": False,
        # A caller is who has connected, for its rate is limited by that; Envoy would believe this header.
        "early_header_mutation_extensions": [_without_header("x-forwarded-for")],
        "server_header_transformation": "PASS_THROUGH",
        # Streams may be quiet for as long as they like: a Watch of the health service says nothing for days.
        "stream_idle_timeout": "0s",
        "request_headers_timeout": f"{listening.max_read_seconds:.3f}s",
        "http2_protocol_options": {
            "max_concurrent_streams": listening.max_concurrent_streams,
            "initial_stream_window_size": STREAM_WINDOW,
            "initial_connection_window_size": CONNECTION_WINDOW,
            # Finds callers who vanished without a word.
            "connection_keepalive": {"interval": "30s", "timeout": "10s"},
        },
    }
    chain: dict[str, Any] = {
        "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    }
    if listening.tls is not None:
        chain["transport_socket"] = transport_socket(folder, listening.tls, listening.protocols)
        # Whom a verified certificate names; what a caller says of itself is taken away, with TLS and without.
        manager["forward_client_cert_details"] = "SANITIZE_SET"
        manager["set_current_client_cert_details"] = {"subject": True, "uri": True, "dns": True}
    return {
        "name": "grpc",
        "address": {"socket_address": {"address": listening.host, "port_value": listening.port}},
        # The parent holds the port for us with a socket of its own.
        "enable_reuse_port": True,
        "filter_chains": [chain],
    }


def _without_header(name: str) -> dict[str, Any]:
    return {
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": {
            "@type": f"{_TYPE}.http.early_header_mutation.header_mutation.v3.HeaderMutation",
            "mutations": [{"remove": name}],
        },
    }


def _connection_limit(limit: int) -> dict[str, Any]:
    return {
        "name": "envoy.resource_monitors.global_downstream_max_connections",
        "typed_config": {
            "@type": f"{_TYPE}.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
            "max_active_downstream_connections": limit,
        },
    }
