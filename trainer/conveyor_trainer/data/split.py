"""Splits: who is trained on, who validates, who tests; decided by the data's digest and a seed, by nothing else."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]  # (N, H, W, C), after preprocessing
Labels = NDArray[np.int64]  # (N,)


@dataclass(frozen=True, kw_only=True)
class Split:
    """Images as the network's preprocessing leaves them (uint8 N x H x W x C) and their classes (int64 N)."""

    images: Images
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Three disjoint splits. `digest` ("sha256:<hex>") is of the files' contents before preprocessing."""

    name: str
    labels: tuple[str, ...]
    train: Split
    validation: Split  # empty when nothing was held out
    test: Split
    digest: str

    def split(self, name: str) -> Split:
        """train, validation or test."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]


def stratified_share(labels: Labels, share: float, *, digest: str, seed: int, purpose: str) -> NDArray[np.bool_]:
    """Marks about `share` of each class. The choice hangs on a hash, not on a library's random numbers, so that
    it stays the same in any later version."""
    ranks = np.array([_rank(digest, seed, purpose, index) for index in range(len(labels))], dtype=np.uint64)
    chosen = np.zeros(len(labels), dtype=np.bool_)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = round(share * len(members))
        chosen[members[np.argsort(ranks[members], kind="stable")[:count]]] = True
    return chosen


def _rank(digest: str, seed: int, purpose: str, index: int) -> int:
    key = f"{digest}/{seed}/{purpose}/{index}".encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")
