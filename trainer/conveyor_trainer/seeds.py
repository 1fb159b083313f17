"""Seeds: one for each purpose, all from the run's own, so that none disturbs another."""

from __future__ import annotations

import hashlib

import torch


def derived_seed(seed: int, purpose: str) -> int:
    """A seed below 2**56 that `seed` and `purpose` alone decide."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=7).digest(), "big")


def seed_generators(seed: int, device: torch.device) -> None:
    """Sets PyTorch's generators, of the CPU and of a CUDA device. (torch.manual_seed does as much, 100 times slower:
    too slow for every step.)"""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
