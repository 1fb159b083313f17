"""Giving back what a large batch took: ONNX Runtime keeps the memory of the largest run for ever unless it is told.

Given back at the end of every run it would be taken anew for the next, which may cost a large batch half as much
again and more. So it is given back where it is much more than runs have usually needed of late: after a lone large
batch at once, after a time of large batches once smaller ones have followed.
"""

from __future__ import annotations

from typing import Any, Final

from conveyor_server.providers import CPU, load_runtime

# Much more than usual is so many times as much.
MUCH_MORE: Final = 4
# Share of the newest run in what is usual.
NEWEST_SHARE: Final = 1 / 8
# Bytes of input below which nothing is worth giving back.
MIN_BYTES: Final = 256 * 1024


class Arena:
    """The memory of one session's runs. Belongs to one thread at a time."""

    def __init__(self, provider: str) -> None:
        """Only the CPU's is looked after."""
        self._giving_back: Any = None
        if provider == CPU:
            self._giving_back = load_runtime().RunOptions()
            self._giving_back.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        # Bytes of input: what runs need grows with them.
        self._usual = 0.0
        self._held = 0

    def options_for(self, size: int) -> Any:
        """What to tell ONNX Runtime for a run with `size` bytes of input; None for nothing."""
        self._usual += (size - self._usual) * NEWEST_SHARE
        self._held = max(self._held, size)
        if self._held < MIN_BYTES or self._held < MUCH_MORE * self._usual:
            return None
        self._held = 0
        return self._giving_back
