"""Values in JSON and raw contents are the same tensor, and what is not a tensor is named."""

import base64
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from conveyor_server.datatypes import BYTES, DATATYPES
from conveyor_server.errors import ServingError
from conveyor_server.http.rest.tensors import json_of_raw, raw_of_json
from conveyor_server.inference.contents import array_of_raw, raw_of_array, raw_of_elements
from tests.counts import count

NUMERIC = [datatype for datatype in DATATYPES.values() if datatype is not BYTES]


@pytest.mark.parametrize("datatype", NUMERIC, ids=lambda datatype: datatype.name)
@given(data=st.data())
@settings(max_examples=count("tensors through JSON"), deadline=None)
def test_a_tensor_survives_json_flat_and_nested(datatype: Any, data: st.DataObject) -> None:
    array = data.draw(hnp.arrays(datatype.dtype, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)))
    for values in (array.ravel().tolist(), array.tolist()):
        parsed = json.loads(json.dumps(values))
        raw = raw_of_json("x", parsed, datatype.name, array.shape)
        np.testing.assert_array_equal(array_of_raw("x", raw, datatype, array.shape), array)
    back = json_of_raw("y", raw_of_array(array), datatype.name, array.shape)
    np.testing.assert_array_equal(np.array(back, datatype.dtype), array.ravel())


def test_texts_and_base64_are_bytes() -> None:
    encoded = base64.b64encode(b"\xff\x00").decode()
    raw = raw_of_json("x", ["é", {"b64": encoded}], "BYTES", [2])
    assert raw == raw_of_elements(["é".encode(), b"\xff\x00"])
    assert json_of_raw("y", raw_of_elements(["é", ""]), "BYTES", [2, 1]) == ["é", ""]


def test_bytes_that_are_no_text_are_not_made_json() -> None:
    with pytest.raises(ServingError, match="ask for it as binary data"):
        json_of_raw("y", raw_of_elements([b"\xff"]), "BYTES", [1])


def test_values_that_are_no_numbers_pass() -> None:
    raw = raw_of_json("x", [math.nan, math.inf, -math.inf], "FP32", [3])
    np.testing.assert_array_equal(np.frombuffer(raw, np.float32), [np.nan, np.inf, -np.inf])


@pytest.mark.parametrize(
    ("data", "datatype", "shape", "words"),
    [
        ([1, 2, 3], "FP32", [2], "unexpected number of elements 3 for input 'x', expecting 2"),
        ([[1, 2], [3]], "FP32", [2, 2], r"nested unlike its shape \[2,2\]: axis 1 should be lists of 2"),
        ([[1, 2, 3, 4]], "FP32", [2, 2], "axis 0 should be lists of 2"),
        ([[[1], [2]]], "FP32", [1, 2], "not numbers"),
        ([[1, 2], 3], "FP32", [2, 2], "axis 1 should be lists of 2"),
        ([1.5], "INT32", [1], "whole numbers"),
        ([True], "INT32", [1], "whole numbers"),
        ([1], "BOOL", [1], "true or false"),
        (["1"], "FP32", [1], "not numbers"),
        ([None], "FP32", [1], "not numbers"),
        ([1], "BYTES", [1], "not texts"),
        ([256], "UINT8", [1], "out of the range of UINT8"),
        ([-1], "UINT64", [1], "out of the range of UINT64"),
        ([2**63], "INT64", [1], "out of the range of INT64"),
        ([1e300], "FP32", [1], "out of the range of FP32"),
        ([70000], "FP16", [1], "out of the range of FP16"),
        ([10**400], "FP64", [1], "out of the range of FP64"),
        ([{"b64": "*"}], "BYTES", [1], "not base64"),
        ([{"b64": "AA==", "more": 1}], "BYTES", [1], "an object that is not"),
        ([1], "BF16", [1], "there are BOOL, UINT8"),
    ],
)
def test_what_is_wrong_is_named(data: list[Any], datatype: str, shape: list[int], words: str) -> None:
    with pytest.raises(ServingError, match=words):
        raw_of_json("x", data, datatype, shape)
