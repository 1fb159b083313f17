"""Seeds: one for each purpose, all from the run's own, so that none disturbs another."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derived_seed(seed: int, purpose: str) -> int:
    """A seed below 2**56 that `seed` and `purpose` alone decide."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=7).digest(), "big")


def seed_generators(seed: int, device: torch.device) -> None:
    """Sets PyTorch's generators, of the CPU and of a CUDA device, and those that the user's own code may draw from:
    Python's and numpy's global ones. (torch.manual_seed is 100 times slower: too slow for every step.)"""
    torch.default_generator.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # the global generator is the one that others draw from
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


@contextmanager
def forked_generators() -> Iterator[None]:
    """Whatever is drawn or seeded inside, the generators are left as they were."""
    of_python, of_numpy = random.getstate(), np.random.get_state()  # as above
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)
