"""Models that come and go while the real server is under load: nobody notices, and the memory comes back."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from onnx import TensorProto, helper, numpy_helper

from conveyor.v1 import classifier_pb2 as pb
from tests.counts import count
from tests.models import IR_VERSION, OPSET, write_tiny_model
from tests.server.envoy.asking import request
from tests.server.process import START_SECONDS, ServerProcess, running

EXPLICIT = ("--model-control-mode", "explicit", "--load-model", "*")
POLL = ("--model-control-mode", "poll", "--repository-poll-seconds", "0.1")
CALLERS = 6


class Load:
    """Callers who ask without a pause, each answer's version noted, and each failure."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._go_on = True
        self.versions: list[str] = []
        self.failures: list[grpc.RpcError] = []
        self.threads = [threading.Thread(target=self._ask) for _ in range(CALLERS)]

    def _ask(self) -> None:
        while self._go_on:
            try:
                self.versions.append(self._server.stub.Classify(request(0), timeout=20).model_version)
            except grpc.RpcError as error:
                self.failures.append(error)

    def wait_for(self, version: int) -> None:
        """Returns once nobody is answered by an earlier version any more."""
        end = time.monotonic() + START_SECONDS
        while True:
            seen = len(self.versions)
            while len(self.versions) < seen + 4 * CALLERS:
                assert time.monotonic() < end, (self._server.log, self.failures)
                time.sleep(0.005)
            if set(self.versions[-CALLERS:]) == {str(version)}:
                return

    def stop(self) -> None:
        self._go_on = False
        for thread in self.threads:
            thread.join()


@contextmanager
def under_load(server: ServerProcess) -> Iterator[Load]:
    load = Load(server)
    for thread in load.threads:
        thread.start()
    try:
        yield load
    finally:
        load.stop()


@pytest.mark.parametrize("mode", [EXPLICIT, POLL])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_reload_and_an_unload_of_the_old_version_under_load_lose_nothing(
    tmp_path: Path, mode: tuple[str, ...], workers: str
) -> None:
    write_tiny_model(tmp_path)
    rounds = count("reload rounds")
    with running(tmp_path, *mode, "--workers", workers) as server, under_load(server) as load:
        load.wait_for(1)
        for version in range(2, 2 + rounds):
            write_tiny_model(tmp_path, version=version, seed=version)
            if mode is EXPLICIT:
                with triton.InferenceServerClient(server.address) as client:
                    client.load_model("tiny")
            load.wait_for(version)
            shutil.rmtree(tmp_path / "tiny" / str(version - 1))
        load.stop()
        assert load.failures == []
        assert [int(v) for v in dict.fromkeys(load.versions)] == list(range(1, 2 + rounds))
        server.wait_for_log(f"unloaded model=tiny version={rounds}")


def write_large_model(root: Path, name: str, megabytes: int) -> None:
    """A plain ONNX file with so many megabytes of weights."""
    weights = np.random.default_rng(0).normal(size=(megabytes * 256, 1024)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "weights"], ["y"])],
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", weights.shape[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", weights.shape[1]])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    folder = root / name / "1"
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())


def resident_mib(pid: int) -> float:
    """Memory that the process holds."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def test_memory_is_given_back_after_an_unload(tmp_path: Path) -> None:
    write_tiny_model(tmp_path)
    write_large_model(tmp_path, "large", 100)
    flags = ("--model-control-mode", "explicit", "--load-model", "tiny")
    with running(tmp_path, *flags) as server, triton.InferenceServerClient(server.address) as client:
        before = resident_mib(server.pid)
        for _ in range(2):
            client.load_model("large")
            assert resident_mib(server.pid) > before + 70
            client.unload_model("large")
            end = time.monotonic() + 20
            while resident_mib(server.pid) > before + 40:
                assert time.monotonic() < end, (before, resident_mib(server.pid))
                time.sleep(0.05)
        assert server.stub.Classify(request(0), timeout=10).model_version == "1"


def test_the_configuration_is_said_once_at_the_start(tmp_path: Path) -> None:
    write_tiny_model(tmp_path)
    with running(tmp_path, "--max-queue-size", "77", "--workers", "2") as server:
        lines = [line for line in server.log.splitlines() if "configuration" in line]
    assert len(lines) == 1
    assert lines[0].endswith(f"configuration repository={tmp_path} port=0 engine=grpcio workers=2 max_queue_size=77")


def test_several_versions_serve_side_by_side(tmp_path: Path) -> None:
    for version in (1, 2, 3):
        write_tiny_model(tmp_path, version=version, seed=version)
    with running(tmp_path, "--version-policy", "latest:2") as server:
        models = server.stub.ListModels(pb.ListModelsRequest(ready_only=True)).models
        assert [model.model_version for model in models] == ["2", "3"]
        for wanted in ("2", "3"):
            asked = request(0)
            asked.model_version = wanted
            assert server.stub.Classify(asked, timeout=10).model_version == wanted
