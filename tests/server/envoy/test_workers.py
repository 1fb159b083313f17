"""Several processes behind one port, on each engine: one server to its callers, whatever happens to one of them."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from conveyor.v1 import classifier_pb2 as pb
from conveyor.v1.classifier_pb2_grpc import ClassifierServiceStub
from tests.counts import count
from tests.models import write_tiny_model
from tests.server.envoy.asking import channel_to, is_right, request
from tests.server.envoy.test_drain import start_and_fail
from tests.server.envoy.test_parent import is_running
from tests.server.process import START_SECONDS, ServerProcess, running
from tests.server.test_load_limits import write_hanging

WORKERS = 2
# Seconds before each attempt, as our clients do.
BACK_OFF = (0.0, 0.05, 0.15, 0.45, 1.0)
EXPLICIT = ("--model-control-mode", "explicit", "--load-model", "*")


def workers_of(server: ServerProcess) -> list[int]:
    """The processes that serve, now."""
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = stat.read_text().rsplit(")", 1)
        except OSError:
            continue
        if int(rest.split()[1]) == server.pid and rest.split()[0] != "Z":
            children.append(int(name.split()[0]))
    return sorted(children)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    write_tiny_model(tmp_path, "tiny")
    return tmp_path


@pytest.fixture
def server(engine: str, repository: Path) -> Iterator[ServerProcess]:
    with running(repository, "--engine", engine, "--workers", str(WORKERS), *EXPLICIT) as process:
        yield process


def on_many_connections(server: ServerProcess, connections: int = 16) -> list[pb.ClassifyResponse]:
    """One answer on each of so many connections: enough that every worker has some."""
    answers = []
    for _ in range(connections):
        with channel_to(server) as channel:
            answers.append(ClassifierServiceStub(channel).Classify(request(0), timeout=20))
    return answers


def client_on_own_connection(server: ServerProcess) -> triton.InferenceServerClient:
    return triton.InferenceServerClient(server.address, channel_args=[("grpc.use_local_subchannel_pool", 1)])


def restarted(server: ServerProcess) -> None:
    """Returns once another worker has taken the place of the killed one and its port is open."""
    server.wait_for_log(f"another worker serves in its place serving={WORKERS} of={WORKERS}")


def test_what_every_worker_did_is_added_up(server: ServerProcess) -> None:
    on_many_connections(server)
    for _ in range(4):
        with client_on_own_connection(server) as client:
            (statistics,) = client.get_inference_statistics("tiny").model_stats
            assert statistics.inference_count == 16
            assert statistics.inference_stats.success.count == 16
            assert sum(batch.compute_infer.count for batch in statistics.batch_stats) == statistics.execution_count


def test_a_load_reaches_every_worker_before_it_is_answered(repository: Path, server: ServerProcess) -> None:
    for version in (2, 3):
        write_tiny_model(repository, "tiny", version, seed=version)
        with client_on_own_connection(server) as client:
            client.load_model("tiny")
        assert {answer.model_version for answer in on_many_connections(server)} == {str(version)}
    with client_on_own_connection(server) as client:
        client.unload_model("tiny")
    for _ in range(8):
        with client_on_own_connection(server) as client:
            assert not client.is_model_ready("tiny")


def test_a_bad_candidate_is_loaded_by_no_worker(repository: Path, server: ServerProcess) -> None:
    (repository / "tiny" / "2").mkdir()
    (repository / "tiny" / "2" / "model.onnx").write_bytes(b"no model")
    with client_on_own_connection(server) as client, pytest.raises(InferenceServerException, match="not an ONNX file"):
        client.load_model("tiny")
    assert {answer.model_version for answer in on_many_connections(server)} == {"1"}


def test_a_worker_that_is_started_again_has_what_the_others_have(repository: Path, server: ServerProcess) -> None:
    write_tiny_model(repository, "other", 1)
    write_tiny_model(repository, "other", 2)
    with client_on_own_connection(server) as client:
        client.load_model("other", config='{"max_batch_size": 4}')
        client.update_log_settings({"log_info": True})
    # Not asked for by anybody, so for nobody.
    write_tiny_model(repository, "other", 3)
    write_tiny_model(repository, "stranger", 1)
    before = workers_of(server)
    os.kill(before[0], signal.SIGKILL)
    restarted(server)
    os.kill(before[1], signal.SIGKILL)
    # Connections that a dying process had not accepted yet are reset.
    server.wait_for_log("worker . ended unexpectedly(.|\n)*worker . ended unexpectedly")
    for _ in range(8):
        with client_on_own_connection(server) as client:
            assert client.get_model_config("other").config.max_batch_size == 4
            assert client.get_model_metadata("other").versions == ["2"]
            assert not client.is_model_ready("stranger")


def test_a_worker_that_cannot_come_back_harms_nobody_and_comes_back_when_it_can(
    repository: Path, server: ServerProcess
) -> None:
    aside = repository.with_name(f"{repository.name}-aside")
    before = workers_of(server)
    repository.rename(aside)
    os.kill(before[0], signal.SIGKILL)
    server.wait_for_log("ended unexpectedly .*is not a folder")
    server.wait_until_answered(request(0))
    aside.rename(repository)
    restarted(server)
    server.wait_until_answered(request(0))


def test_a_worker_that_hangs_is_replaced(engine: str, repository: Path) -> None:
    flags = ("--engine", engine, "--workers", str(WORKERS), "--max-worker-silence-seconds", "1.5")
    with running(repository, *flags) as server:
        before = workers_of(server)
        os.kill(before[0], signal.SIGSTOP)
        server.wait_for_log(r"worker . ended unexpectedly \(it answered nothing for 1.5 seconds\)")
        restarted(server)
        now = workers_of(server)
        assert before[0] not in now
        assert before[1] in now
        on_many_connections(server)


def test_a_stop_does_not_wait_for_a_worker_that_is_still_on_its_way(repository: Path, server: ServerProcess) -> None:
    shutil.rmtree(repository / "tiny")
    write_hanging(repository, "tiny")
    os.kill(workers_of(server)[0], signal.SIGKILL)
    # The third one now loads what nobody ever finishes loading, and has no port yet.
    server.wait_for_log(r"(starting provider(.|\n)*){3}")
    server.signal()
    assert server.wait(25) == 0


class Caller(threading.Thread):
    """Asks again and again on a connection of its own, and tries again when its worker has gone."""

    def __init__(self, server: ServerProcess, models: Path) -> None:
        super().__init__()
        self._server = server
        self._models = models
        self.answered = 0
        self.lost = 0
        self.bad: object = None
        self.go_on = True

    def run(self) -> None:
        with channel_to(self._server) as channel:
            stub = ClassifierServiceStub(channel)
            while self.go_on and self.bad is None:
                response = self._ask(stub)
                if response is not None and not is_right(self._models, self.answered, response):
                    self.bad = response
                self.answered += 1

    def _ask(self, stub: ClassifierServiceStub) -> pb.ClassifyResponse | None:
        error: grpc.RpcError | None = None
        for pause in BACK_OFF:
            time.sleep(pause)
            try:
                return stub.Classify(request(self.answered), timeout=20)
            except grpc.RpcError as failed:
                self.lost += error is None
                error = failed
                if failed.code() is not grpc.StatusCode.UNAVAILABLE:
                    break
        self.bad = error
        return None


@pytest.mark.parametrize("number", range(count("killed worker rounds")))
def test_a_killed_worker_costs_its_own_callers_a_retry(engine: str, models: Path, number: int) -> None:
    with running(models, "--engine", engine, "--workers", str(WORKERS)) as server:
        callers = [Caller(server, models) for _ in range(8)]
        for caller in callers:
            caller.start()
        while any(caller.is_alive() and caller.answered < 20 for caller in callers):
            time.sleep(0.01)
        before = workers_of(server)
        os.kill(before[number % WORKERS], signal.SIGKILL)
        restarted(server)
        goals = [caller.answered + 20 for caller in callers]
        while any(c.is_alive() and c.answered < goal for c, goal in zip(callers, goals, strict=True)):
            time.sleep(0.01)
        for caller in callers:
            caller.go_on = False
        for caller in callers:
            caller.join()
        assert [caller.bad for caller in callers] == [None] * 8
        assert max(caller.lost for caller in callers) <= 1


def test_a_stop_under_load_drains_every_worker(engine: str, models: Path) -> None:
    with running(models, "--engine", engine, "--workers", str(WORKERS), "--max-queue-delay", "1000") as server:
        channels = [channel_to(server) for _ in range(8)]
        calls = [ClassifierServiceStub(channel).Classify.future(request(0), timeout=30) for channel in channels]
        with ThreadPoolExecutor(8) as pool:
            # Answered after the call before it on the same connection has arrived.
            list(pool.map(lambda c: ClassifierServiceStub(c).ListModels(pb.ListModelsRequest(), timeout=30), channels))
        server.signal()
        assert all(is_right(models, 0, call.result()) for call in calls)
        assert server.wait() == 0
        for channel in channels:
            channel.close()


def test_the_first_worker_that_cannot_start_ends_the_start(engine: str, models: Path) -> None:
    flags = ("--engine", engine, "--workers", "2", "--port", "0", "--require-model", "other")
    code, line = start_and_fail(str(models), *flags)
    assert (code, line.partition("required model 'other' does not serve")[1] != "") == (1, True)
    assert line.startswith("error: ")


def test_no_worker_outlives_its_parent(engine: str, models: Path) -> None:
    with running(models, "--engine", engine, "--workers", str(WORKERS)) as server:
        workers = workers_of(server)
        assert len(workers) == WORKERS
        server.signal(signal.SIGKILL)
        end = time.monotonic() + START_SECONDS
        while any(map(is_running, workers)):
            assert time.monotonic() < end
            time.sleep(0.05)
