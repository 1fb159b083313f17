"""Digests, all written as "sha256:<hex>"."""

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_PREFIX = "sha256:"


def sha256(*parts: bytes | memoryview) -> str:
    """The digest of the parts, one after another."""
    return sha256_of_parts(parts)


def sha256_of_parts(parts: Iterable[bytes | memoryview]) -> str:
    """The digest of the parts of an iterable, one after another."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return _PREFIX + digest.hexdigest()


def row_digest(row: "np.ndarray") -> str:
    """The digest of a row's bytes, row-major and little-endian: what preprocessing must reproduce exactly."""
    import numpy as np

    return sha256(np.ascontiguousarray(row).astype(row.dtype.newbyteorder("<"), copy=False).tobytes())
