"""The sweep's search on a server that is a formula, the candidates of a tuning, and the plan that it writes."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from conveyor_bench.load import Measured
from conveyor_bench.recorder import Recorder
from conveyor_bench.sweep import Sweep, find_highest_rate
from conveyor_bench.tune.candidates import Candidate, Trial, first_candidates
from conveyor_bench.tune.evidence import read_evidence
from conveyor_bench.tune.plan_file import write_plan
from conveyor_bench.workload import ClosedLoop, Loop, OpenLoop
from conveyor_cli.main import main
from conveyor_cli.parsing import parse_settings
from conveyor_server.settings import ServerSettings
from tests.models import write_tiny_model

CAPACITY = 1000.0


def queue_of(service: float, rate: float, duration: float = 1.0) -> Measured:
    """A server that takes `service` seconds a request and is late by a tenth of a second from 80 % on."""
    recorder = Recorder()
    for _ in range(round(rate * duration)):
        recorder.took(service + (0.1 if rate > 0.8 * CAPACITY else 0.0))
    return Measured(recorder=recorder, seconds=duration, client_cpu=0.1)


def sweep(service: float, slo: float) -> Sweep:
    def run(loop: Loop, duration: float) -> Measured:
        return queue_of(service, CAPACITY if isinstance(loop, ClosedLoop) else loop.rate)

    return find_highest_rate(run, OpenLoop(rate=1.0), 1.0, slo, 1)


def test_a_sweep_finds_the_knee() -> None:
    found = sweep(service=0.005, slo=0.02)
    assert found.capacity == CAPACITY
    assert found.best is not None
    assert found.best.rate == pytest.approx(800, rel=0.03)
    assert [each.rate for each in found.steps] == sorted(each.rate for each in found.steps)
    assert [found.replicas(rate) for rate in (100, 4000, 8000)] == [1, 6, 11]


def test_a_sweep_that_nothing_meets() -> None:
    found = sweep(service=0.05, slo=0.02)
    assert found.best is None
    assert found.replicas(100) is None
    assert found.as_json()["highest_rate"] is None


def test_candidates_share_the_cores_out() -> None:
    def plans(cores: int, workers: int) -> set[tuple[int, int, int]]:
        candidates = list(first_candidates([Path("m.onnx")], ["grpcio"], cores, workers))
        found = {(each.workers, each.instance_count, each.intra_op_threads) for each in candidates}
        assert len(found) == len(candidates)
        return found

    assert plans(1, 1) == {(1, 1, 1)}
    assert plans(2, 2) == {(1, 1, 1), (1, 1, 2), (1, 2, 1), (2, 1, 1)}
    assert all(workers * instances <= 4 for workers, instances, _ in plans(4, 4))


def test_a_plan_is_read_by_serve(tmp_path: Path) -> None:
    candidate = Candidate(
        model_file=Path("m/1/model.onnx"),
        engine="grpcio",
        workers=2,
        instance_count=1,
        intra_op_threads=1,
        max_queue_delay=1.5,
    )
    plan = tmp_path / "tuned.yaml"
    write_plan(plan, [Trial(candidate=candidate, sweep=sweep(0.005, 0.02))], slo=0.02)
    assert "# Chosen by `conveyor tune` for a 99th percentile within 20 ms." in plan.read_text()
    arguments = ["models", "--config", str(plan)]
    settings = parse_settings("serve", ServerSettings, arguments, summary="", example="")
    assert settings is not None
    assert (settings.engine, settings.workers, settings.max_queue_delay) == ("grpcio", 2, 1.5)
    assert (settings.instance_count, settings.intra_op_threads) == (1, 1)


@pytest.fixture
def one_core() -> Iterator[None]:
    """This process and what it starts keep to one core: there are few ways to share it out."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.usefixtures("one_core")
def test_tune_on_this_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_tiny_model(tmp_path / "models")
    plan, plot = tmp_path / "tuned.yaml", tmp_path / "tuned.svg"
    options = ["--engine", "grpcio", "--max-workers", "1", "--delays", "1", "--duration", "0.1"]
    files = ["--output", str(plan), "--plot", str(plot)]
    assert main(["tune", str(model), "--slo-p99", "5s", *options, *files]) == 0
    printed = capsys.readouterr()
    assert "requests/s with p99 within 5000 ms" in printed.out
    assert f"conveyor serve {tmp_path / 'models'} --config {plan}" in printed.err
    assert "engine: grpcio" in plan.read_text()
    assert plot.read_bytes()
    evidence = read_evidence(plan)
    assert evidence.highest_rate > 0
    assert evidence.usage is not None
    assert 0 < evidence.usage.cpus <= 1.2, "it had one core"
    assert evidence.usage.memory_bytes > 20 * 2**20


def test_tune_without_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", str(tmp_path / "none.onnx"), "--slo-p99", "20ms"]) == 1
    assert "there is no file" in capsys.readouterr().err
    assert main(["tune", "model.onnx", "--slo-p99", "20"]) == 2
    assert "such as 20ms" in capsys.readouterr().err
