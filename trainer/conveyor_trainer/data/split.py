"""Splits: who is trained on, who validates, who tests; decided by the data's digests and a seed, by nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conveyor_trainer.data.file_rows import FileRows

# As the network's preprocessing leaves them: uint8 (N, H, W, C) for images, float32 (N, C, L) for signals. Both kinds
# take slices and arrays of indices and give arrays; np.asarray decodes all of a FileRows.
Rows = NDArray[Any] | FileRows
Targets = NDArray[Any]  # classes, int64 (N,), or values, float32 (N, K)


@dataclass(frozen=True, kw_only=True)
class Split:
    """Rows with their right answers."""

    rows: Rows
    targets: Targets

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def has_values(self) -> bool:
        """Whether the answers are values (regression) rather than classes."""
        return self.targets.ndim == 2

    def only(self, chosen: NDArray[np.bool_]) -> Split:
        """The rows that are marked."""
        rows = self.rows.only(np.flatnonzero(chosen)) if isinstance(self.rows, FileRows) else self.rows[chosen]
        return Split(rows=rows, targets=self.targets[chosen])


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Three disjoint splits. `digest` ("sha256:<hex>") is of the files' contents before preprocessing."""

    name: str
    labels: tuple[str, ...]  # empty where the answers are values
    train: Split
    validation: Split  # empty when nothing was held out
    test: Split
    digest: str
    unreadable: int = 0  # files that were left out, where that was asked for
    left_out: Mapping[str, int] = field(default_factory=dict)  # files of a folder that are no images, by suffix

    @property
    def outputs(self) -> int:
        """How many values a network for these data answers with: one a class, or one a value."""
        return int(self.train.targets.shape[1]) if self.train.has_values else len(self.labels)

    def split(self, name: str) -> Split:
        """train, validation or test."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Who belongs to which split, by a hash of the data and a seed: not by a library's random numbers, so that it
    stays the same in any later version."""

    digest: str
    seed: int
    keys: tuple[str, ...] | None = None  # the rows' own names; without them, their places count

    def share(self, targets: Targets, share: float, *, purpose: str) -> NDArray[np.bool_]:
        """Marks about `share` of each class, or of all rows where the answers are values; rows with the same key, which
        are copies of one file, stay together."""
        ranks = np.array([self._rank(index, purpose) for index in range(len(targets))], dtype=np.uint64)
        chosen = np.zeros(len(targets), dtype=np.bool_)
        groups = np.zeros(len(targets), dtype=np.int64) if targets.ndim == 2 else targets
        for group in np.unique(groups):
            members = np.flatnonzero(groups == group)
            members = members[np.argsort(ranks[members], kind="stable")]
            chosen[members[: _cut(ranks[members], round(share * len(members)))]] = True
        return chosen

    def without(self, drawn: NDArray[np.bool_]) -> Draw:
        """For the rows that are left."""
        if self.keys is None:
            return self
        return replace(self, keys=tuple(key for key, gone in zip(self.keys, drawn, strict=True) if not gone))

    def _rank(self, index: int, purpose: str) -> int:
        if self.keys is None:
            key = f"{self.digest}/{self.seed}/{purpose}/{index}"
        else:
            key = f"{self.keys[index]}/{self.seed}/{purpose}"
        return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big")


def _cut(ranks: NDArray[np.uint64], count: int) -> int:
    """The place nearest to `count` that has unequal ranks on its two sides; 0 where `count` is, or all are equal."""
    places = np.flatnonzero(ranks[1:] != ranks[:-1]) + 1
    return int(places[np.abs(places - count).argmin()]) if count and len(places) else 0
