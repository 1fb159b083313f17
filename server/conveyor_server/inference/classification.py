"""The `classification` option of an output: the largest values with their index and label, as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from conveyor_server.batch import Rows
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.signature import TensorSignature

_KINDS: Final = "fiu"
_REFUSED: Final = frozenset({"FP16"})


def check_classifiable(tensor: TensorSignature) -> None:
    """Raises ServingError for an output whose values cannot be ranked."""
    if tensor.datatype.dtype.kind not in _KINDS or tensor.datatype.name in _REFUSED:
        message = (
            f"class result not available for output '{tensor.name}' due to unsupported type '{tensor.datatype.name}'"
        )
        raise ServingError(ErrorKind.INVALID_ARGUMENT, message)


def top_classes(values: Rows, count: int, labels: Sequence[str]) -> list[str]:
    """The `count` largest of a row's values, descending, each "value:index" or "value:index:label".

    Equal values come in the order of their indices.
    """
    flat = values.ravel()
    # Sorted backwards and turned round: descending, and stable.
    order = (len(flat) - 1 - np.argsort(flat[::-1], kind="stable"))[::-1][:count]
    style = "%f" if flat.dtype.kind == "f" else "%d"
    return [_text(style % flat[index], index, labels) for index in order.tolist()]


def _text(value: str, index: int, labels: Sequence[str]) -> str:
    return f"{value}:{index}:{labels[index]}" if index < len(labels) else f"{value}:{index}"
