"""Tensor contents: whatever goes in comes out, as the client writes and reads it, and nothing malformed is taken."""

import math
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tritonclient.utils import (
    deserialize_bytes_tensor,
    np_to_triton_dtype,
    serialize_byte_tensor,
    triton_to_np_dtype,
)

from conveyor_server.datatypes import BYTES, DATATYPES, Datatype
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.inference.contents import TYPED_FIELDS, array_of_raw, array_of_typed, elements_of_raw, raw_of_array

NUMERIC = [datatype for datatype in DATATYPES.values() if datatype is not BYTES]
SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
ELEMENTS = st.lists(st.binary(max_size=20), max_size=12)


@st.composite
def tensors(draw: st.DrawFn) -> tuple[Datatype, npt.NDArray[Any]]:
    datatype = draw(st.sampled_from(NUMERIC))
    return datatype, draw(arrays.arrays(datatype.dtype, draw(SHAPES)))


def objects(elements: list[bytes]) -> npt.NDArray[Any]:
    array = np.empty(len(elements), object)
    array[:] = elements
    return array


def test_every_datatype_is_the_one_that_the_client_means() -> None:
    for datatype in DATATYPES.values():
        assert np_to_triton_dtype(datatype.dtype) == datatype.name
        assert np.dtype(triton_to_np_dtype(datatype.name)) == datatype.dtype


@given(tensors())
def test_raw_contents_come_back_as_they_went_in(tensor: tuple[Datatype, npt.NDArray[Any]]) -> None:
    datatype, array = tensor
    again = array_of_raw("x", raw_of_array(array), datatype, array.shape)
    assert again.dtype == datatype.dtype
    np.testing.assert_array_equal(again, array)


def test_raw_contents_are_not_copied() -> None:
    raw = bytes(range(12))
    array = array_of_raw("x", raw, DATATYPES["UINT8"], (3, 4))
    assert np.shares_memory(array, np.frombuffer(raw, np.uint8))


@given(ELEMENTS)
def test_bytes_are_written_and_read_as_the_client_does(elements: list[bytes]) -> None:
    serialized = serialize_byte_tensor(objects(elements))
    theirs = serialized.item() if serialized.size else b""
    assert raw_of_array(objects(elements)) == theirs
    assert elements_of_raw("x", theirs, len(elements)) == elements
    assert list(deserialize_bytes_tensor(theirs)) == elements


@given(ELEMENTS, st.integers(1, 60))
def test_a_truncated_bytes_tensor_is_refused(elements: list[bytes], missing: int) -> None:
    raw = raw_of_array(objects(elements))
    if missing <= len(raw):
        with pytest.raises(ServingError, match="'x'"):
            elements_of_raw("x", raw[:-missing], len(elements))


@given(ELEMENTS, st.integers(-3, 3).filter(bool))
def test_another_number_of_elements_is_refused(elements: list[bytes], more: int) -> None:
    count = max(0, len(elements) + more)
    if count != len(elements):
        with pytest.raises(ServingError, match="'x'"):
            elements_of_raw("x", raw_of_array(objects(elements)), count)


@pytest.mark.parametrize("datatype", [DATATYPES["FP32"], BYTES], ids=lambda datatype: datatype.name)
@pytest.mark.parametrize("shape", [[0, 2**62], [2**62, 0, 2**62], [0] * 65])
def test_a_shape_that_no_array_can_have_is_refused(datatype: Datatype, shape: list[int]) -> None:
    for make in (
        partial(array_of_raw, "x", b"", datatype, shape),
        partial(array_of_typed, "x", pb.InferTensorContents(), datatype, shape),
    ):
        with pytest.raises(ServingError, match="'x' has the shape") as refused:
            make()
        assert refused.value.kind is ErrorKind.INVALID_ARGUMENT


@given(st.binary(max_size=60), st.integers(0, 2**40))
def test_garbage_is_refused_or_whole(raw: bytes, count: int) -> None:
    try:
        elements = elements_of_raw("x", raw, count)
    except ServingError:
        return
    assert raw_of_array(objects(elements)) == raw


@given(tensors(), st.integers(-8, 8).filter(bool))
def test_a_wrong_byte_count_is_refused_with_both_figures(tensor: tuple[Datatype, npt.NDArray[Any]], more: int) -> None:
    datatype, array = tensor
    raw = raw_of_array(array)
    wrong = raw + bytes(more) if more > 0 else raw[:more]
    if len(wrong) != len(raw):
        expected = f"unexpected total byte size {len(wrong)} for input 'x', expecting {len(raw)}"
        with pytest.raises(ServingError, match=expected):
            array_of_raw("x", wrong, datatype, array.shape)


@given(tensors().filter(lambda tensor: tensor[0].name in TYPED_FIELDS))
def test_typed_contents_come_back_as_they_went_in(tensor: tuple[Datatype, npt.NDArray[Any]]) -> None:
    datatype, array = tensor
    contents = pb.InferTensorContents(**{TYPED_FIELDS[datatype.name]: array.ravel().tolist()})
    again = array_of_typed("x", contents, datatype, array.shape)
    assert again.dtype == datatype.dtype
    np.testing.assert_array_equal(again, array)


def test_a_narrow_integer_keeps_the_low_bytes_of_its_field() -> None:
    array = array_of_typed("x", pb.InferTensorContents(int_contents=[300, -129]), DATATYPES["INT8"], (2,))
    assert array.tolist() == [44, 127]


def test_contents_in_another_datatypes_field_are_refused() -> None:
    contents = pb.InferTensorContents(fp32_contents=[1.0])
    with pytest.raises(ServingError, match="fp32_contents, expecting uint_contents"):
        array_of_typed("x", contents, DATATYPES["UINT8"], (1,))


def test_half_precision_is_raw_only() -> None:
    with pytest.raises(ServingError, match="raw_input_contents only"):
        array_of_typed("x", pb.InferTensorContents(), DATATYPES["FP16"], (1,))


@given(SHAPES, st.integers(0, 200))
def test_typed_contents_of_another_count_are_refused(shape: tuple[int, ...], count: int) -> None:
    if count != math.prod(shape):
        with pytest.raises(ServingError, match=f"number of elements {count} .* expecting {math.prod(shape)}"):
            array_of_typed("x", pb.InferTensorContents(fp32_contents=[0.0] * count), DATATYPES["FP32"], shape)
