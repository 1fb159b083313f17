"""A run that hangs: its model is not ready until it comes back, and nobody else notices. On each engine."""

import time
from pathlib import Path

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from grpc_health.v1 import health_pb2
from onnx import TensorProto, helper
from tritonclient.utils import InferenceServerException

from tests.models import IR_VERSION, OPSET, write_tiny_model
from tests.server.envoy.asking import request
from tests.server.process import START_SECONDS, ServerProcess, running

FOR_EVER = 10**15
SERVING = health_pb2.HealthCheckResponse.SERVING


def write_loop_model(root: Path, version: int = 1) -> None:
    """`loop` counts to the number that it is given, one by one: a large one keeps it busy for long."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_on"], ["go_on_next"]),
            helper.make_node("Add", ["count", "one"], ["count_next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("index", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("count", TensorProto.INT64, [1]),
        ],
        [
            helper.make_tensor_value_info("go_on_next", TensorProto.BOOL, []),
            helper.make_tensor_value_info("count_next", TensorProto.INT64, [1]),
        ],
        [helper.make_tensor("one", TensorProto.INT64, [1], [1])],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["times", "", "zero"], ["count"], body=body)],
        "loop",
        [helper.make_tensor_value_info("times", TensorProto.INT64, [1])],
        [helper.make_tensor_value_info("count", TensorProto.INT64, [1])],
        [helper.make_tensor("zero", TensorProto.INT64, [1], [0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    folder = root / "loop" / str(version)
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())


def count_to(client: triton.InferenceServerClient, times: int, timeout: float) -> int:
    tensor = triton.InferInput("times", [1], "INT64")
    tensor.set_data_from_numpy(np.array([times]))
    return int(client.infer("loop", [tensor], client_timeout=timeout).as_numpy("count")[0])


def how_many_take(client: triton.InferenceServerClient, seconds: float) -> int:
    """About so many that counting to them takes so long on this machine."""
    times = 100_000
    while True:
        started = time.monotonic()
        assert count_to(client, times, 60) == times
        took = time.monotonic() - started
        if took > 0.1:
            return int(times * seconds / took)
        times *= 4


def wait_for_health(server: ServerProcess, *, serving: bool) -> None:
    end = time.monotonic() + START_SECONDS
    while (server.health("loop") == SERVING) != serving:
        assert time.monotonic() < end, server.log
        time.sleep(0.02)


def test_a_hanging_model_is_not_ready_until_its_run_is_back(engine: str, tmp_path: Path) -> None:
    write_tiny_model(tmp_path)
    write_loop_model(tmp_path)
    flags = ("--engine", engine, "--max-run-seconds", "1.0", "--require-model", "loop")
    with running(tmp_path, *flags) as server, triton.InferenceServerClient(server.address) as client:
        long = how_many_take(client, 6.0)
        with pytest.raises(InferenceServerException) as late:
            count_to(client, long, 0.5)
        assert late.value.status() == "StatusCode.DEADLINE_EXCEEDED"
        wait_for_health(server, serving=False)
        server.wait_for_log("not ready model=loop version=1: its run has taken more than 1 seconds")
        assert server.health() != SERVING
        with pytest.raises(InferenceServerException) as refused:
            count_to(client, 1, 10)
        assert refused.value.status() in ("StatusCode.UNAVAILABLE", "StatusCode.NOT_FOUND")
        assert server.stub.Classify(request(0), timeout=10).model_version == "1"
        wait_for_health(server, serving=True)
        server.wait_for_log("runs again model=loop")
        assert count_to(client, 3, 10) == 3


def test_a_server_stops_although_a_run_hangs(engine: str, tmp_path: Path) -> None:
    write_loop_model(tmp_path)
    with running(tmp_path, "--engine", engine, "--max-run-seconds", "0.5") as server:
        with triton.InferenceServerClient(server.address) as client, pytest.raises(InferenceServerException):
            count_to(client, 10**15, 0.5)
        wait_for_health(server, serving=False)
        with pytest.raises(grpc.RpcError):
            server.stub.Classify(request(0), timeout=10)
        server.signal()
        assert server.wait(15) == 0


def test_a_canary_that_hangs_is_rolled_back(tmp_path: Path, engine: str) -> None:
    for version in (1, 2):
        write_loop_model(tmp_path, version)
    rule = "loop:stable=1,canary=2,canary-share=1,max-error-share=0.5"
    flags = ("--engine", engine, "--version-policy", "all", "--max-run-seconds", "0.5", "--traffic", rule)
    with running(tmp_path, *flags) as server, triton.InferenceServerClient(server.address) as client:
        assert count_to(client, 7, START_SECONDS) == 7
        with pytest.raises(InferenceServerException):
            count_to(client, FOR_EVER, 2.0)
        server.wait_for_log("rolling back model=loop version=2 to version=1: its runs hang")
        assert count_to(client, 8, START_SECONDS) == 8
