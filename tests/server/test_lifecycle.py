"""Starting, readiness and stopping of the real server: what it refuses to start with, what it loses (nothing)."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2

from conveyor.v1 import classifier_pb2 as pb
from conveyor.v1 import model_pb2
from conveyor_contract.model_file import read_model_file
from tests.models import write_tiny_model
from tests.server.process import START_SECONDS, ServerProcess, running

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

REQUEST = pb.ClassifyRequest(
    model_name="tiny",
    images=[
        pb.Image(
            pixels=pb.RawPixels(height=8, width=8, colour_mode=model_pb2.COLOUR_MODE_GRAYSCALE, data=bytes(range(64)))
        )
    ],
)


def serve(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """Runs `conveyor serve` to its end."""
    command = [sys.executable, "-c", "from conveyor_cli.main import main; raise SystemExit(main())", "serve"]
    return subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


def error_of(result: "subprocess.CompletedProcess[str]") -> str:
    """The one line of error."""
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in result.stderr
    return line


def test_a_port_in_use_is_one_clear_sentence_and_exit_1(tmp_path: Path) -> None:
    write_tiny_model(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as other:
        result = serve(tmp_path, "--port", other.getsockname()[1])
    assert result.returncode == 1
    assert "address already in use" in error_of(result)
    assert len(result.stderr.splitlines()) <= 3


def test_a_repository_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    result = serve(tmp_path / "nothing", "--port", 0)
    assert result.returncode == 1
    assert "is not a folder" in error_of(result)


def test_cuda_is_refused_where_it_cannot_be_used(tmp_path: Path) -> None:
    write_tiny_model(tmp_path)
    result = serve(tmp_path, "--port", 0, "--device", "cuda")
    assert result.returncode == 1
    assert "CUDA was asked for and cannot be used" in error_of(result)


def test_a_required_model_that_does_not_serve_stops_the_start(tmp_path: Path) -> None:
    write_tiny_model(tmp_path)
    result = serve(tmp_path, "--port", 0, "--require-model", "tinny")
    assert result.returncode == 1
    assert "required model 'tinny'" in error_of(result)


def altered_weight(path: Path) -> None:
    data = bytearray(path.read_bytes())
    position = data.find(b"weights") - 20  # inside the initialiser's numbers
    data[position] ^= 0xFF
    path.write_bytes(bytes(data))


def altered_label(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"class 1"', b'"class X"'))


def not_onnx(path: Path) -> None:
    path.write_text("this is a text, not a network")


def cut_short(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 3])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (not_onnx, "not an ONNX file"),
        (empty, "not an ONNX file"),
        (cut_short, "not an ONNX file"),
        (altered_weight, "altered after export"),
        (altered_label, "altered after export"),
    ],
)
def test_a_bad_newer_version_never_replaces_a_good_one_and_says_why(
    tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    write_tiny_model(tmp_path)
    write_tiny_model(tmp_path, "alone")
    damage(write_tiny_model(tmp_path, version=2))
    damage(tmp_path / "alone" / "1" / "model.onnx")
    with running(tmp_path) as server:
        assert server.stub.Classify(REQUEST, timeout=10).model_version == "1"
        states = {(m.model_name, m.model_version): m for m in server.stub.ListModels(pb.ListModelsRequest()).models}
        assert states["tiny", "1"].state == pb.MODEL_STATE_READY
        assert states["tiny", "2"].state == pb.MODEL_STATE_UNAVAILABLE
        assert words in states["tiny", "2"].reason
        assert words in states["alone", "1"].reason
        assert (server.health("tiny"), server.health("alone")) == (SERVING, NOT_SERVING)
        with pytest.raises(grpc.RpcError) as refused:
            server.stub.Classify(pb.ClassifyRequest(model_name="alone", images=REQUEST.images), timeout=10)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_the_newest_version_serves(tmp_path: Path) -> None:
    for version in (1, 2, 10):
        write_tiny_model(tmp_path, version=version, seed=version)
    (tmp_path / ".hidden" / "1").mkdir(parents=True)
    (tmp_path / "tiny" / "latest").mkdir()
    (tmp_path / "tiny" / "11").mkdir()
    with running(tmp_path) as server:
        response = server.stub.Classify(REQUEST, timeout=10)
        assert response.model_version == "10"
        assert response.file_digest == read_model_file(tmp_path / "tiny" / "10" / "model.onnx").file_digest


def test_an_empty_repository_starts_not_ready_and_says_so(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)
    try:
        server.wait_for_log("not ready .* holds no model that can be served")
        assert server.health() == NOT_SERVING
        assert server.health("grpc.health.v1.Health") == SERVING, "it lives"
    finally:
        assert server.stop() == 0


def test_health_knows_each_model_and_no_other(server: ServerProcess) -> None:
    names = ("", "conveyor.v1.ClassifierService", "tiny", "colour")
    assert {server.health(name) for name in names} == {SERVING}
    with pytest.raises(grpc.RpcError) as unknown:
        server.health("nobody")
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_second_server_shares_no_port_unnoticed(server: ServerProcess) -> None:
    result = serve(server.repository, "--port", server.address.rpartition(":")[2])
    assert result.returncode == 1
    assert "address already in use" in error_of(result)


def wait_for_more(answered: list[int]) -> None:
    """Returns once some more are answered."""
    before, end = answered[0], time.monotonic() + START_SECONDS
    while answered[0] < before + 20:
        assert time.monotonic() < end, "no answers"
        time.sleep(0.01)


def test_load_through_sigterm_loses_nothing(tmp_path: Path) -> None:
    write_tiny_model(tmp_path)
    server = ServerProcess(tmp_path, "--drain-delay", "2")
    server.wait_until_serving()
    answered, refused, lost = [0], [0], []
    go_on = True

    def caller() -> None:
        while go_on:
            try:
                server.stub.Classify(REQUEST, timeout=10)
                answered[0] += 1
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.UNAVAILABLE:
                    refused[0] += 1
                    return
                lost.append((error.code(), error.details()))

    threads = [threading.Thread(target=caller) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_for_more(answered)
    server.signal()
    while server.health() == SERVING:
        time.sleep(0.01)
    assert server.health("grpc.health.v1.Health") == SERVING, "it lives until it has drained"
    wait_for_more(answered)  # it serves on while its health says no
    assert refused[0] == 0
    assert server.wait() == 0
    go_on = False
    for thread in threads:
        thread.join()
    server.stop()
    assert lost == []
    assert refused[0] == 8


def test_health_watch_sees_the_drain(tmp_path: Path) -> None:
    write_tiny_model(tmp_path)
    server = ServerProcess(tmp_path, "--drain-delay", "0.5")
    server.wait_until_serving()
    watch = server.channel.unary_stream(
        "/grpc.health.v1.Health/Watch",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )(health_pb2.HealthCheckRequest(service="tiny"), timeout=30)
    assert next(watch).status == SERVING
    server.signal()
    assert next(watch).status == NOT_SERVING
    assert server.wait() == 0
    server.stop()


def test_a_stream_in_flight_is_answered_before_the_server_stops(tmp_path: Path) -> None:
    write_tiny_model(tmp_path)
    server = ServerProcess(tmp_path)
    server.wait_until_serving()
    more = threading.Event()

    def items() -> Iterator[pb.ClassifyStreamRequest]:
        for index in range(3):
            yield pb.ClassifyStreamRequest(item_id=index, image=REQUEST.images[0], model_name="tiny")
        more.wait(20)

    answers = server.stub.ClassifyStream(items(), timeout=30)
    assert [next(answers).item_id for _ in range(3)] == [0, 1, 2]
    server.signal()
    with pytest.raises(grpc.RpcError) as ended:
        next(answers)
    more.set()
    assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "stopping" in (ended.value.details() or "")
    assert server.wait() == 0
    server.stop()


def test_a_second_signal_ends_a_long_drain(tmp_path: Path) -> None:
    write_tiny_model(tmp_path)
    server = ServerProcess(tmp_path, "--drain-delay", "60")
    server.wait_until_serving()
    server.signal()
    server.wait_for_log("stopping in order")
    time.sleep(0.6)  # sooner, the second would pass for an echo of the first
    server.signal(signal.SIGINT)
    assert server.wait(timeout=10) == 0
    server.stop()
