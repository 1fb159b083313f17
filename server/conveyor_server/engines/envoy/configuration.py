"""Envoy's configuration, as the dictionary that its JSON file holds. Its limits are here, each with its reason."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any, Final

from conveyor_server.listening import Listening

APPLICATION: Final = "conveyor_server.engines.envoy.inside:application"
STAT_PREFIX: Final = "grpc"
KIB: Final = 1024

_TYPE: Final = "type.googleapis.com/envoy.extensions"

# Bytes that one stream, and one connection, may have on the way to a handler that does not read them yet.
STREAM_WINDOW: Final = 1024 * KIB
CONNECTION_WINDOW: Final = 64 * 1024 * KIB
# Calls at a time on one connection; further ones wait at the caller.
MAX_CONCURRENT_STREAMS: Final = 10_000
MAX_CONNECTIONS: Final = 50_000
# File descriptors kept for everything that is not a connection.
SPARE_DESCRIPTORS: Final = 512
# A connection of which most calls are cancelled within a second, this many at least, is closed: it only burns time.
# Callers whose deadlines pass under load do not get there: they are answered, or wait longer than a second.
MAX_PREMATURE_RESETS: Final = 10_000

RUNTIME: Final = {
    # The default codec closes a connection that resets more than a few dozen streams a second, innocent calls and all.
    "envoy.reloadable_features.http2_use_oghttp2": True,
    "overload.premature_reset_total_stream_count": 2 * MAX_PREMATURE_RESETS,
    "overload.premature_reset_min_stream_lifetime_seconds": 1,
}


def envoy_configuration(listening: Listening, filters: list[dict[str, Any]], admin_socket: Path) -> dict[str, Any]:
    """One listener for gRPC, whose calls go to the application; `filters` load it."""
    return {
        # A socket in a private folder: nobody else can reach it.
        "admin": {"address": {"pipe": {"path": str(admin_socket), "mode": 0o600}}},
        "layered_runtime": {"layers": [{"name": "conveyor", "static_layer": RUNTIME}]},
        "overload_manager": {"resource_monitors": [_connection_limit()]},
        "static_resources": {"listeners": [_listener(listening, filters)]},
    }


def python_filters(application: str) -> list[dict[str, Any]]:
    """How Envoy loads Python and an ASGI application ("module:attribute"), in pyvoy's own words."""
    from pyvoy import PyvoyServer

    pyvoy = PyvoyServer(application, lifespan=True, loop="uvloop").get_envoy_config()
    chain = pyvoy["static_resources"]["listeners"][0]["filter_chains"][0]
    filters: list[dict[str, Any]] = chain["filters"][0]["typed_config"]["http_filters"]
    return filters


def _listener(listening: Listening, filters: list[dict[str, Any]]) -> dict[str, Any]:
    manager = {
        "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": STAT_PREFIX,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"]}]},
        "http_filters": filters,
        "generate_request_id": False,
        "server_header_transformation": "PASS_THROUGH",
        # Streams may be quiet for as long as they like: a Watch of the health service says nothing for days.
        "stream_idle_timeout": "0s",
        "request_headers_timeout": "10s",
        "http2_protocol_options": {
            "max_concurrent_streams": MAX_CONCURRENT_STREAMS,
            "initial_stream_window_size": STREAM_WINDOW,
            "initial_connection_window_size": CONNECTION_WINDOW,
            # Finds callers who vanished without a word.
            "connection_keepalive": {"interval": "30s", "timeout": "10s"},
        },
    }
    return {
        "name": "grpc",
        "address": {"socket_address": {"address": listening.host, "port_value": listening.port}},
        # The parent holds the port for us with a socket of its own.
        "enable_reuse_port": True,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _connection_limit() -> dict[str, Any]:
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    limit = MAX_CONNECTIONS
    if descriptors != resource.RLIM_INFINITY:
        limit = max(1, min(limit, descriptors - SPARE_DESCRIPTORS))
    return {
        "name": "envoy.resource_monitors.global_downstream_max_connections",
        "typed_config": {
            "@type": f"{_TYPE}.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
            "max_active_downstream_connections": limit,
        },
    }
