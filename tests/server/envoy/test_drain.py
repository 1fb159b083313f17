"""The end of a server, on each engine: nothing that was accepted is lost."""

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2

from conveyor.v1 import classifier_pb2 as pb
from conveyor.v1.classifier_pb2_grpc import ClassifierServiceStub
from tests.counts import count
from tests.models import write_tiny_model
from tests.server.envoy.asking import channel_to, image, is_right, request
from tests.server.http.asking import ask
from tests.server.process import ServerProcess, running

CALLERS = 8
NOBODY_THERE = "failed to connect to all addresses|Socket closed|Connection reset by peer"


def waiting_rows(server: ServerProcess) -> int:
    """Rows that the server has accepted and not yet run."""
    found = re.search(r"^conveyor_queue_rows\{[^}]*\} (\d+)", ask(server.http_address, "/metrics").text, re.MULTILINE)
    return int(found.group(1)) if found else 0


def test_what_was_accepted_is_answered_after_the_signal(engine: str, models: Path) -> None:
    with running(models, "--engine", engine, "--max-queue-delay", "1500") as server:
        calls = [server.stub.Classify.future(request(index), timeout=30) for index in range(4)]
        while waiting_rows(server) < len(calls):
            time.sleep(0.01)
        server.signal()
        assert all(is_right(models, index, call.result()) for index, call in enumerate(calls))
        assert server.wait() == 0


class Caller(threading.Thread):
    """Asks again and again on a connection of its own, until it is refused because the server stops."""

    def __init__(self, server: ServerProcess, models: Path) -> None:
        super().__init__()
        self._server = server
        self._models = models
        self.answered = 0
        self.bad: object = None

    def run(self) -> None:
        with channel_to(self._server) as channel:
            stub = ClassifierServiceStub(channel)
            while self.bad is None:
                try:
                    response = stub.Classify(request(self.answered), timeout=20)
                except grpc.RpcError as error:
                    # Who was sent away may come back when nobody is there any more, and who is held up on the way, on a
                    # busy machine, when the connection is just being closed.
                    words = re.search(f"takes no new|{NOBODY_THERE}", error.details() or "")
                    refused = error.code() == grpc.StatusCode.UNAVAILABLE and words
                    self.bad = None if refused else error
                    return
                if not is_right(self._models, self.answered, response):
                    self.bad = response
                self.answered += 1


@pytest.mark.parametrize("number", range(count("drain rounds")))
def test_a_stop_under_load_loses_nothing(engine: str, models: Path, number: int) -> None:
    with running(models, "--engine", engine, "--log-sample-rate", "1") as server:
        callers = [Caller(server, models) for _ in range(CALLERS)]
        for caller in callers:
            caller.start()
        while any(caller.is_alive() and caller.answered < 20 for caller in callers):
            time.sleep(0.01)
        server.signal()
        code = server.wait()
        for caller in callers:
            caller.join()
        assert [caller.bad for caller in callers] == [None] * CALLERS
        assert all(caller.answered >= 20 for caller in callers)
        assert code == 0
    # What the server accepted it finished, as its exit code says; and what it finished came to its callers.
    assert server.log.count("/Classify code=OK ") == sum(caller.answered for caller in callers)


def test_a_stream_is_answered_to_its_last_item_read_before_the_stop(engine: str, models: Path) -> None:
    with running(models, "--engine", engine, "--max-queue-delay", "2000") as server:
        held = threading.Event()

        def items() -> Iterator[pb.ClassifyStreamRequest]:
            for index in range(3):
                yield pb.ClassifyStreamRequest(item_id=index, image=image(index), model_name="tiny")
            held.wait(30)

        call = server.stub.ClassifyStream(items(), timeout=30)
        while waiting_rows(server) < 3:
            time.sleep(0.01)
        server.signal()
        answers = sorted(next(call).item_id for _ in range(3))
        held.set()
        assert answers == [0, 1, 2]
        assert server.wait() == 0


def test_before_it_refuses_a_stopping_server_says_so_and_serves_on(engine: str, models: Path) -> None:
    with running(models, "--engine", engine, "--drain-delay", "1.5") as server:
        server.signal()
        while server.health() == health_pb2.HealthCheckResponse.SERVING:
            time.sleep(0.01)
        assert is_right(models, 1, server.stub.Classify(request(1), timeout=10))
        assert server.wait() == 0


def test_a_drain_that_takes_too_long_ends_with_an_error(engine: str, models: Path) -> None:
    with running(models, "--engine", engine, "--max-queue-delay", "60000", "--drain-timeout", "0.5") as server:
        call = server.stub.Classify.future(request(0), timeout=60)
        while waiting_rows(server) < 1:
            time.sleep(0.01)
        server.signal()
        error = call.exception()
        assert isinstance(error, grpc.RpcError)
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert server.wait() == 1


def test_a_second_signal_ends_it_at_once(engine: str, models: Path) -> None:
    with running(models, "--engine", engine, "--drain-delay", "60") as server:
        server.signal(signal.SIGINT)
        server.wait_for_log("stopping in order")
        time.sleep(0.6)  # sooner, the second would pass for an echo of the first
        server.signal(signal.SIGINT)
        assert server.wait(10) == 0


def start_and_fail(*arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-c", "from conveyor_cli.main import main; raise SystemExit(main())", "serve"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr.strip().splitlines()[-1]


def test_a_port_in_use_is_one_clear_sentence(engine: str, server: ServerProcess, models: Path) -> None:
    port = server.address.rpartition(":")[2]
    code, line = start_and_fail(str(models), "--engine", engine, "--port", port)
    assert code == 1
    assert line.startswith(f"error: cannot listen on 127.0.0.1, port {port}: address already in use")


def test_a_required_model_that_does_not_serve_ends_the_start(engine: str, tmp_path: Path) -> None:
    write_tiny_model(tmp_path, "tiny")
    code, line = start_and_fail(str(tmp_path), "--engine", engine, "--port", "0", "--require-model", "other")
    assert code == 1
    assert line.startswith("error: the required model 'other' does not serve")
