"""The datatypes of tensors, once for all who name them: the protocol, NumPy and ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Datatype:
    """One datatype. `dtype` is little-endian; BYTES elements are Python objects, bytes of any length."""

    # The Open Inference Protocol's word.
    name: str
    dtype: np.dtype[Any]
    # ONNX Runtime's word.
    onnx: str


# Of a tensor: as many as NumPy has.
MAX_AXES: Final = 64

BYTES: Final = Datatype(name="BYTES", dtype=np.dtype(object), onnx="tensor(string)")

# Not there: BF16, of which NumPy knows nothing.
DATATYPES: Final = {
    datatype.name: datatype
    for datatype in (
        Datatype(name="BOOL", dtype=np.dtype("?"), onnx="tensor(bool)"),
        Datatype(name="UINT8", dtype=np.dtype("u1"), onnx="tensor(uint8)"),
        Datatype(name="UINT16", dtype=np.dtype("<u2"), onnx="tensor(uint16)"),
        Datatype(name="UINT32", dtype=np.dtype("<u4"), onnx="tensor(uint32)"),
        Datatype(name="UINT64", dtype=np.dtype("<u8"), onnx="tensor(uint64)"),
        Datatype(name="INT8", dtype=np.dtype("i1"), onnx="tensor(int8)"),
        Datatype(name="INT16", dtype=np.dtype("<i2"), onnx="tensor(int16)"),
        Datatype(name="INT32", dtype=np.dtype("<i4"), onnx="tensor(int32)"),
        Datatype(name="INT64", dtype=np.dtype("<i8"), onnx="tensor(int64)"),
        Datatype(name="FP16", dtype=np.dtype("<f2"), onnx="tensor(float16)"),
        Datatype(name="FP32", dtype=np.dtype("<f4"), onnx="tensor(float)"),
        Datatype(name="FP64", dtype=np.dtype("<f8"), onnx="tensor(double)"),
        BYTES,
    )
}
DATATYPES_BY_ONNX: Final = {datatype.onnx: datatype for datatype in DATATYPES.values()}
