"""conveyor bench against servers: both loops, honest times, errors, files."""

import asyncio
import json
import signal
import subprocess
import time
from pathlib import Path

import grpc
import numpy as np
import pytest
from PIL import Image

from conveyor.v1 import classifier_pb2
from conveyor_bench.inference import InferenceServer
from conveyor_bench.load import Load, Measured
from conveyor_bench.report import make_report
from conveyor_bench.server_process import conveyor_command
from conveyor_bench.workload import CLASSIFY, ClosedLoop, OpenLoop, Workload
from conveyor_cli.main import main
from tests.clients.scripted import ScriptedServer
from tests.models import write_tiny_model

REQUEST = classifier_pb2.ClassifyRequest(model_name="m", images=[classifier_pb2.Image(encoded=b"x")])
SHORT = ["--duration", "0.5", "--warmup", "0.1"]


def test_a_closed_loop_with_json_and_plot(address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results, plot = tmp_path / "bench.json", tmp_path / "bench.png"
    files = ["--json", str(results), "--plot", str(plot)]
    arguments = ["bench", "--url", address, "--model", "tiny", "--concurrency", "4", *SHORT, *files]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    for text in ("closed loop, 4 under way", "p99", "server: queue", "requests/s"):
        assert text in printed.out
    assert printed.err.startswith("next: conveyor bench")
    with Image.open(plot) as picture:
        assert picture.format == "PNG"
    content = json.loads(results.read_text())
    report = content["report"]
    assert report["answered"] == report["requests"] > 10
    assert (report["errors"], report["changed_answers"]) == ({}, 0)
    assert 0 < report["latency_ms"]["p50"] <= report["latency_ms"]["p99"] <= report["latency_ms"]["max"]
    assert report["latency_ms"]["count"] == report["queue_ms"]["count"] == report["answered"]
    assert content["model"]["version"] == "1"
    assert {"cores", "processor"} <= set(content["machine"])
    assert {"python", "grpcio"} <= set(content["versions"])
    assert content["settings"]["concurrency"] == 4


@pytest.mark.parametrize("encoding", ["raw", "png"])
def test_an_open_loop_sends_at_its_rate(address: str, encoding: str, capsys: pytest.CaptureFixture[str]) -> None:
    loop = ["--rate", "40", "--arrivals", "constant", "--encoding", encoding, "--json", "-"]
    assert main(["bench", "--url", address, "--model", "tiny", *loop, "--duration", "1", "--warmup", "0"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    report = json.loads(printed.out)["report"]
    assert report["answered"] == pytest.approx(40, abs=1)
    assert report["send_lag_ms"]["count"] == report["answered"]


def test_image_files(address: str, tmp_path: Path) -> None:
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    for number, file in enumerate(files):
        Image.fromarray(np.full((20, 30, 3), number, np.uint8)).save(file)
    images = ["--image", *map(str, files), "--images-per-request", "3"]
    assert main(["bench", "--url", address, "--model", "tiny", *images, *SHORT]) == 0


def test_no_server_and_no_model(address: str, silent_address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--url", silent_address, "--model", "tiny"]) == 1
    assert "no server answers" in capsys.readouterr().err
    assert main(["bench", "--url", address, "--model", "other"]) == 1
    assert "other" in capsys.readouterr().err
    assert main(["bench", "--url", address]) == 2
    assert "--model is missing" in capsys.readouterr().err


def run(server: ScriptedServer, rate: float | None, duration: float) -> Measured:
    workload = Workload(address=server.address, method=CLASSIFY, requests=(REQUEST.SerializeToString(),), connections=2)
    loop = ClosedLoop(concurrency=8) if rate is None else OpenLoop(rate=rate, arrivals="constant")

    async def measured() -> Measured:
        async with Load(workload) as load:
            return await load.run(loop, duration)

    return asyncio.run(measured())


def test_an_open_loop_charges_the_wait_to_the_server(server: ScriptedServer) -> None:
    # Eight threads that take 0.1 s each carry 80 requests/s: at 240 a second they fall behind by a second.
    server.script.delay = 0.1
    overloaded = make_report(run(server, rate=240, duration=0.5), images_per_request=1)
    closed = make_report(run(server, rate=None, duration=0.5), images_per_request=1)
    assert overloaded.latency.max > 800
    assert closed.latency.max < 400
    assert overloaded.requests_per_second < 100


def test_errors_are_counted_by_code_and_not_tried_again(server: ScriptedServer) -> None:
    server.script.failures = [(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")] * 3
    report = make_report(run(server, rate=40, duration=0.5), images_per_request=1)
    assert report.errors == {"RESOURCE_EXHAUSTED": 3}
    assert report.answered == report.requests - 3 == server.script.attempts - 3


def test_a_server_that_changes_its_mind_is_caught(server: ScriptedServer) -> None:
    server.script.answers_alternate = True
    report = make_report(run(server, rate=40, duration=0.5), images_per_request=1)
    assert report.changed_answers > 0
    assert not report.ok


def test_the_inference_protocol_with_the_servers_own_counters(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--protocol", "inference", "--concurrency", "4", "--images-per-request", "2", "--json", "-"]
    assert main(["bench", "--url", address, "--model", "tiny", *options, *SHORT]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["report"]["errors"], content["report"]["changed_answers"]) == ({}, 0)
    assert content["report"]["images_per_second"] == pytest.approx(2 * content["report"]["requests_per_second"])
    assert content["server_means"]["mean_batch_size"] >= 2
    assert content["server_means"]["compute_ms"] > 0
    assert main(["bench", "--url", address, "--model", "other", *options, *SHORT]) == 1
    assert "other" in capsys.readouterr().err


def test_streams_in_two_processes(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--stream", "--streams", "2", "--concurrency", "8", "--processes", "2"]
    assert main(["bench", "--url", address, "--model", "tiny", *options, *SHORT, "--json", "-"]) == 0
    report = json.loads(capsys.readouterr().out)["report"]
    assert report["client_processes"] == 2
    assert report["answered"] == report["requests"] > 10


def test_a_sweep_beside_the_model_alone(address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_tiny_model(tmp_path, name="tiny")
    options = ["--sweep", "--slo-p99", "5s", "--target-rate", "100000", "--baseline", "--model-file", str(model)]
    plot = tmp_path / "sweep.png"
    short = ["--duration", "0.2", "--warmup", "0.1", "--plot", str(plot)]
    assert main(["bench", "--url", address, "--model", "tiny", *options, *short]) == 0
    printed = capsys.readouterr().out
    for text in ("rates tried", "highest rate tried with p99 within 5000 ms", "servers like this one", "alone"):
        assert text in printed
    with Image.open(plot) as picture:
        assert picture.format == "PNG"


def requests_at(address: str) -> int:
    """Requests that the server has answered so far."""
    with InferenceServer(address, timeout=10) as server:
        counters = server.counters("tiny", "")
    assert counters is not None
    return counters.requests


def wait_for_load(address: str, requests: int) -> None:
    end = time.monotonic() + 60
    while requests_at(address) < requests:
        assert time.monotonic() < end, "the load has not begun"
        time.sleep(0.1)


def test_ctrl_c_keeps_what_was_measured(address: str, tmp_path: Path) -> None:
    results = tmp_path / "bench.json"
    options = ["--duration", "60", "--warmup", "0", "--processes", "1", "--json", str(results)]
    command = conveyor_command("bench", "--url", address, "--model", "tiny", *options)
    before = requests_at(address)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        wait_for_load(address, requests=before + 20)
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "before its time" in printed
    content = json.loads(results.read_text())
    assert content["interrupted"]
    assert content["report"]["answered"] > 10
    assert content["report"]["seconds"] < 30
