"""What Envoy is asked and told over its private administration socket."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from conveyor_server.engines.envoy.configuration import STAT_PREFIX

# Names the socket's path to the server inside Envoy.
VARIABLE: Final = "CONVEYOR_ENVOY_ADMIN"

# Calls that are not finished, and bytes that are not yet handed to the system.
_IN_FLIGHT: Final = ("downstream_rq_active", "downstream_cx_tx_bytes_buffered")
_INTERVAL: Final = 0.01
# What Envoy's statistics say once its listeners listen.
_STARTED: Final = "listener_manager.workers_started: 1"
_OPEN_INTERVAL: Final = 0.002
# Seconds in which whoever calls is still answered, and asked to go: longer than a usual call takes to come back.
LEAVING_SECONDS: Final = 0.5


async def until_open(admin_socket: Path) -> None:
    """Waits until Envoy itself takes connections; on a shared port others may take them already."""
    while True:
        # Its administration opens a moment after the application is asked to start.
        with suppress(OSError):
            if _STARTED in await _ask(admin_socket, "GET", "/stats?filter=^listener_manager.workers_started$"):
                return
        await asyncio.sleep(_OPEN_INTERVAL)


async def until_flushed(admin_socket: Path) -> None:
    """Waits until every answer has left Envoy."""
    await _until_zero(admin_socket, *_IN_FLIGHT)


async def send_away(admin_socket: Path) -> None:
    """Has Envoy end each connection in order with its next answer: HTTP/2's GOAWAY, after which no call is lost.

    Whoever still calls is answered for LEAVING_SECONDS, or until nobody is there; then the port is closed.
    """
    await _ask(admin_socket, "POST", "/healthcheck/fail")
    with suppress(TimeoutError):
        async with asyncio.timeout(LEAVING_SECONDS):
            await _until_zero(admin_socket, "downstream_cx_active")
    await _ask(admin_socket, "POST", "/drain_listeners")


async def _until_zero(admin_socket: Path, *gauges: str) -> None:
    while True:
        if not any((await _gauges(admin_socket, *gauges)).values()):
            return
        await asyncio.sleep(_INTERVAL)


async def _gauges(admin_socket: Path, *names: str) -> dict[str, int]:
    prefix = f"http.{STAT_PREFIX}."
    body = await _ask(admin_socket, "GET", f"/stats?filter=^{prefix}({'|'.join(names)})$")
    found = re.findall(rf"^{re.escape(prefix)}(\w+): (\d+)\r?$", body, re.MULTILINE)
    return {name: int(value) for name, value in found}


async def _ask(admin_socket: Path, method: str, target: str) -> str:
    reader, writer = await asyncio.open_unix_connection(str(admin_socket))
    try:
        writer.write(f"{method} {target} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise OSError(f"Envoy's administration answers {head[:60]!r} to {target}")
    return body.decode()
