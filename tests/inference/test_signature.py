"""Several tensors as rows of one array, which the batcher cuts and joins without knowing."""

from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from conveyor_server.batch import pad
from conveyor_server.datatypes import BYTES, DATATYPES
from conveyor_server.signature import TensorSignature, pack, unpack

Tensors = tuple[list[TensorSignature], list[npt.NDArray[Any]]]
NUMERIC = [datatype for datatype in DATATYPES.values() if datatype is not BYTES]


@st.composite
def tensors(draw: st.DrawFn) -> Tensors:
    rows = draw(st.integers(1, 5))
    signatures, values = [], []
    for index in range(draw(st.integers(1, 3))):
        datatype = draw(st.sampled_from(NUMERIC))
        shape = draw(arrays.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3)) if draw(st.booleans()) else ()
        signatures.append(TensorSignature(name=f"tensor {index}", datatype=datatype, shape=shape))
        values.append(draw(arrays.arrays(datatype.dtype, (rows, *shape))))
    return signatures, values


@given(tensors(), st.data())
def test_rows_that_are_cut_joined_and_padded_are_still_every_tensors_rows(given: Tensors, data: st.DataObject) -> None:
    signatures, values = given
    rows = pack(signatures, values)
    cut = data.draw(st.integers(0, len(rows)))
    joined = pad(np.concatenate([rows[:cut], rows[cut:]]), len(rows) + 2)[: len(rows)]
    for again, value in zip(unpack(signatures, joined), values, strict=True):
        assert again.flags.c_contiguous
        np.testing.assert_array_equal(again, value)


def test_one_tensor_is_not_copied() -> None:
    signature = TensorSignature(name="x", datatype=DATATYPES["FP32"], shape=(2,))
    value = np.ones((3, 2), np.float32)
    assert pack([signature], [value]) is value
    assert unpack([signature], value)[0] is value
