"""Envoy's own statistics, asked for over its private administration socket."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from conveyor_server.engines.envoy.configuration import STAT_PREFIX

# Calls that are not finished, and bytes that are not yet handed to the system.
_IN_FLIGHT: Final = ("downstream_rq_active", "downstream_cx_tx_bytes_buffered")
_INTERVAL: Final = 0.01


async def until_flushed(admin_socket: Path) -> None:
    """Waits until every answer has left Envoy."""
    while True:
        if not any((await _gauges(admin_socket)).values()):
            return
        await asyncio.sleep(_INTERVAL)


async def _gauges(admin_socket: Path) -> dict[str, int]:
    pattern = f"^http.{STAT_PREFIX}.({'|'.join(_IN_FLIGHT)})$"
    body = await _get(admin_socket, f"/stats?filter={pattern}")
    lines = (line.partition(": ") for line in body.splitlines())
    return {name: int(value) for name, _, value in lines if value}


async def _get(admin_socket: Path, target: str) -> str:
    reader, writer = await asyncio.open_unix_connection(str(admin_socket))
    try:
        writer.write(f"GET {target} HTTP/1.0\r\nHost: admin\r\n\r\n".encode())
        answer = await reader.read()
    finally:
        writer.close()
    return answer.partition(b"\r\n\r\n")[2].decode()
