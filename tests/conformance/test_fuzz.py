"""Requests that nobody in their right mind sends: each is answered or refused, and the server goes on."""

import grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc

from tests.conformance.models import ECHOED
from tests.counts import count

REFUSALS = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.UNIMPLEMENTED,
    # A version that does not serve, or a timeout of a microsecond.
    grpc.StatusCode.UNAVAILABLE,
)

SIZES = st.one_of(st.integers(-2, 9), st.sampled_from([2**31, 2**62, -(2**63)]))
NAMES = st.one_of(st.sampled_from(["image", "x", "left", "right", "y", "probabilities"]), st.text(max_size=5))
PARAMETERS = st.dictionaries(
    st.one_of(
        st.sampled_from(["priority", "timeout", "classification", "shared_memory_region", "shared_memory_byte_size"]),
        st.text(max_size=5),
    ),
    st.one_of(
        st.builds(pb.InferParameter, int64_param=st.integers(-(2**63), 2**63 - 1)),
        st.builds(pb.InferParameter, uint64_param=st.integers(0, 2**64 - 1)),
        st.builds(pb.InferParameter, string_param=st.text(max_size=5)),
        st.builds(pb.InferParameter),
    ),
    max_size=2,
)
CONTENTS = st.one_of(
    st.none(),
    st.builds(pb.InferTensorContents, fp32_contents=st.lists(st.floats(width=32), max_size=4)),
    st.builds(pb.InferTensorContents, bytes_contents=st.lists(st.binary(max_size=4), max_size=4)),
)
INPUTS = st.builds(
    pb.ModelInferRequest.InferInputTensor,
    name=NAMES,
    datatype=st.sampled_from([*ECHOED, "BYTES", "BF16", "FP8", ""]),
    shape=st.lists(SIZES, max_size=4),
    parameters=PARAMETERS,
    contents=CONTENTS,
)
OUTPUTS = st.builds(pb.ModelInferRequest.InferRequestedOutputTensor, name=NAMES, parameters=PARAMETERS)
REQUESTS = st.builds(
    pb.ModelInferRequest,
    model_name=st.sampled_from(["tiny", "sums", "echo_bytes", "echo_free", "echo_whole", "echo_fp32"]),
    model_version=st.sampled_from(["", "1", "2", "two"]),
    parameters=PARAMETERS,
    inputs=st.lists(INPUTS, max_size=3),
    outputs=st.lists(OUTPUTS, max_size=2),
    raw_input_contents=st.lists(st.binary(max_size=80), max_size=3),
)


@settings(
    max_examples=count("strange inference requests"),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(REQUESTS)
def test_a_strange_request_is_answered_or_refused(url: str, request: pb.ModelInferRequest) -> None:
    with grpc.insecure_channel(url) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        try:
            stub.ModelInfer(request, timeout=30)
        except grpc.RpcError as error:
            assert error.code() in REFUSALS, error
        assert stub.ServerLive(pb.ServerLiveRequest(), timeout=30).live
