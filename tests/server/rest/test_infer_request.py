"""From the body of an inference request to the gRPC message: everything finds its place, and nothing breaks in."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor_server.errors import ServingError
from conveyor_server.http.rest.infer_request import InferenceCall, read_header_length, read_inference
from tests.counts import count
from tests.server.rest.asking import infer_body


def read(content: Any, behind: bytes = b"") -> InferenceCall:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return read_inference(text + behind, len(text), "m", "7")


def binary(name: str, size: int, shape: list[int]) -> dict[str, Any]:
    return {"name": name, "datatype": "UINT8", "shape": shape, "parameters": {"binary_data_size": size}}


def test_every_part_finds_its_place() -> None:
    parameters = {"flag": True, "whole": -3, "large": 2**64 - 1, "part": 0.5, "text": "t", "timeout": 5}
    call = read({**infer_body("x", "FP32", [1], [2.0]), "id": "one", "parameters": parameters, "unknown": {}})
    message = call.message
    assert (message.model_name, message.model_version, message.id) == ("m", "7", "one")
    assert [(t.name, t.datatype, list(t.shape)) for t in message.inputs] == [("x", "FP32", [1])]
    assert list(message.raw_input_contents) == [b"\x00\x00\x00\x40"]
    kinds = {name: value.WhichOneof("parameter_choice") for name, value in message.parameters.items()}
    assert kinds == {
        "flag": "bool_param",
        "whole": "int64_param",
        "large": "uint64_param",
        "part": "double_param",
        "text": "string_param",
        "timeout": "int64_param",
    }


def test_binary_data_is_handed_out_in_order() -> None:
    inputs = [binary("a", 2, [2]), infer_body("b", "UINT8", [1], [9])["inputs"][0], binary("c", 0, [0])]
    call = read({"inputs": inputs}, b"\x01\x02")
    assert list(call.message.raw_input_contents) == [b"\x01\x02", b"\x09", b""]
    assert not call.message.inputs[0].parameters


def test_shared_memory_takes_no_place_among_the_contents() -> None:
    region = {"shared_memory_region": "r", "shared_memory_byte_size": 8}
    inputs = [{"name": "a", "datatype": "FP32", "shape": [2], "parameters": region}, binary("b", 1, [1])]
    call = read({"inputs": inputs}, b"\x05")
    assert list(call.message.raw_input_contents) == [b"\x05"]
    assert call.message.inputs[0].parameters["shared_memory_region"].string_param == "r"


@pytest.mark.parametrize(
    ("outputs", "parameters", "named", "unnamed"),
    [
        ([], {}, (), False),
        ([], {"binary_data_output": True}, (), True),
        (
            [{"name": "y"}, {"name": "z", "parameters": {"binary_data": False}}],
            {"binary_data_output": True},
            (True, False),
            True,
        ),
        ([{"name": "y", "parameters": {"binary_data": True, "classification": 2}}], {}, (True,), False),
    ],
)
def test_outputs_come_back_in_the_form_that_is_wanted(
    outputs: list[dict[str, Any]], parameters: dict[str, Any], named: tuple[bool, ...], unnamed: bool
) -> None:
    call = read({**infer_body("x", "FP32", [1], [1]), "outputs": outputs, "parameters": parameters})
    assert (call.binary, call.all_binary) == (named, unnamed)
    # What is for HTTP alone goes no further.
    assert not call.message.parameters
    assert all("binary_data" not in output.parameters for output in call.message.outputs)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the body is not JSON: EOF"),
        (b"{", "the body is not JSON: EOF"),
        (b"\xff", "the body is not JSON"),
        (b"[]", "the JSON of the body: input should be"),
        (b"null", "the JSON of the body: input should be"),
        (b"[" * 100_000, "the body is not JSON: recursion limit exceeded"),
        ({}, "inputs in the JSON of the body: field required"),
        ({"inputs": {}}, "inputs in the JSON of the body: input should be a valid array"),
        (
            infer_body("x", "FP32", [-1], [1]),
            r"inputs\[0\].shape\[0\] in the JSON of the body: input should be greater",
        ),
        (
            infer_body("x", "FP32", [1] * 65, [1]),
            r"inputs\[0\].shape in the JSON of the body: list should have at most 64",
        ),
        (infer_body("x", "FP32", [2**63], [1]), "less than or equal"),
        (infer_body("x", "FP32", ["1"], [1]), "valid integer"),  # type: ignore[list-item]  # what is tested
        (infer_body("x", "FP32", [1], {"0": 1}), "valid array"),
        (infer_body("x", "FP32", [1], [1], id=5), "id in the JSON of the body: input should be a valid string"),
        (
            infer_body("x", "FP32", [1], [1], parameters={"p": [1]}),
            "parameter 'p' is not true, false, a text or a number",
        ),
        (
            infer_body("x", "FP32", [1], [1], parameters={"p": 2**64}),
            "parameter 'p' is not true, false, a text or a number",
        ),
        (infer_body("x", "FP32", [1], [1], parameters={"binary_data_output": 1}), "not true or false"),
        (infer_body("x", "FP32", [1], None), "unable to find data for input tensor 'x'"),
        ({"inputs": [{**binary("x", 1, [1]), "data": [1]}]}, "both 'data' and binary_data_size"),
        ({"inputs": [binary("x", 3, [1])]}, "input 'x' needs 3 bytes of binary data, but 0 are left"),
        ({"inputs": [binary("x", -1, [1])]}, "not a whole number of at least 0"),
        ({"inputs": [binary("x", True, [1])]}, "not a whole number of at least 0"),
    ],
)
def test_what_is_wrong_is_named(content: Any, words: str) -> None:
    with pytest.raises(ServingError, match=words):
        read(content)


def test_binary_data_that_nobody_asked_for_is_refused() -> None:
    with pytest.raises(ServingError, match="1 bytes of binary data are left over"):
        read(infer_body("x", "UINT8", [1], [1]), b"\x00")


@pytest.mark.parametrize("text", ["-1", "x", "1.5", "", "11", "²", "9" * 30])
def test_a_length_of_the_json_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ServingError, match="0 to 10 bytes"):
        read_header_length(text, 10)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
TENSORS = st.fixed_dictionaries(
    {
        "name": st.text(max_size=3) | JSON,
        "datatype": st.sampled_from(["FP32", "INT8", "BYTES", "BOOL", "FP16", "none"]) | JSON,
        "shape": st.lists(st.integers(-2, 2**70), max_size=4) | JSON,
    },
    optional={"data": st.lists(JSON, max_size=4) | JSON, "parameters": JSON},
)


@given(
    content=st.fixed_dictionaries({"inputs": st.lists(TENSORS, max_size=3)}, optional={"outputs": JSON, "id": JSON}),
    behind=st.binary(max_size=8),
)
@settings(max_examples=count("made up inference requests"), deadline=None)
def test_whatever_comes_is_read_or_refused(content: dict[str, Any], behind: bytes) -> None:
    try:
        call = read(content, behind)
    except ServingError as error:
        assert str(error)
    else:
        assert len(call.message.inputs) == len(content["inputs"])
