"""Which GPU a worker takes, and how it uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor_server.providers import DeviceOptions, device_count

if TYPE_CHECKING:
    from conveyor_server.settings import ServerSettings


def device_options(settings: ServerSettings, worker: int) -> DeviceOptions:
    """For the worker of this number, from 0 on: the GPUs are dealt out in turn."""
    return DeviceOptions(
        device_id=worker % max(1, device_count()) if settings.device != "cpu" else 0,
        memory_limit=settings.cuda_memory_limit,
        tf32=settings.tf32,
        graphs=settings.cuda_graphs,
    )
