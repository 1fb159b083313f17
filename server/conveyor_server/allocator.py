"""The C library's memory: what large images and arrays took goes back to the system as soon as they are gone.

By itself glibc moves the size from which a block stands for itself up to that of the largest one ever freed. Pillow's
blocks then lie among small ones, and one of those that is still needed keeps them all.
"""

from __future__ import annotations

import ctypes
from typing import Final

# Bytes: below Pillow's blocks of 16 MiB, and above what small networks' batches take.
LARGE: Final = 4 * 1024 * 1024

# glibc's names for the numbers: a block of this size stands for itself, and so much that is free at the end goes back.
_M_MMAP_THRESHOLD: Final = -3
_M_TRIM_THRESHOLD: Final = -1


def give_large_blocks_back() -> None:
    """For this process, from now on. Nothing where the C library is another; Envoy brings its own allocator."""
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_M_MMAP_THRESHOLD, LARGE)
        set_option(_M_TRIM_THRESHOLD, 2 * LARGE)
