"""The metrics page of real servers: what was asked is what is counted, over workers, deaths and reloads."""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import grpc
import pytest

from conveyor.v1 import classifier_pb2 as pb
from conveyor_server.inference import inference_pb2 as triton
from tests.models import write_tiny_model
from tests.server.http.asking import ask
from tests.server.metrics.pages import Page
from tests.server.process import START_SECONDS, ServerProcess, running
from tests.server.test_lifecycle import REQUEST

TINY = {"model": "tiny", "version": "1"}
IMPATIENT = ("--drain-delay", "1", "--drain-timeout", "0.1")
UNREADABLE = pb.ClassifyRequest(model_name="tiny", images=[pb.Image(encoded=b"no image")])


def classify(server: ServerProcess, times: int) -> None:
    """Each time on a connection of its own, so that every worker gets some."""
    for _ in range(times):
        with grpc.insecure_channel(server.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            pb_stub = channel.unary_unary(
                "/conveyor.v1.ClassifierService/Classify",
                request_serializer=pb.ClassifyRequest.SerializeToString,
                response_deserializer=pb.ClassifyResponse.FromString,
            )
            pb_stub(REQUEST, timeout=20, wait_for_ready=True)


def until(server: ServerProcess, condition: Callable[[Page], bool]) -> Page:
    """The first page for which it holds. A worker that dies takes those connections along that wait for it."""
    end = time.monotonic() + START_SECONDS
    while True:
        assert time.monotonic() < end
        with suppress(ConnectionError, HTTPException):
            if condition(page := Page(server)):
                return page
        time.sleep(0.05)


def wait(server: ServerProcess, number: int) -> list[threading.Thread]:
    """Callers that wait for an answer; their errors are their own business."""

    def call() -> None:
        try:
            server.stub.Classify(REQUEST, timeout=60)
        except grpc.RpcError:
            return

    threads = [threading.Thread(target=call) for _ in range(number)]
    for thread in threads:
        thread.start()
    return threads


def test_what_was_asked_is_what_is_counted(models: Path, engine: str) -> None:
    with running(models, "--engine", engine) as server:
        assert Page(server).sum("conveyor_requests_total") == 0, "golden samples are no requests"
        classify(server, 7)
        for _ in range(2):
            with pytest.raises(grpc.RpcError):
                server.stub.Classify(UNREADABLE, timeout=10)
        page = Page(server)
        assert page.value("conveyor_requests_total", outcome="success", **TINY) == 7
        assert page.value("conveyor_requests_total", outcome="invalid_argument", **TINY) == 2
        assert page.sum("conveyor_requests_total") == 9
        assert page.value("conveyor_rows_total", **TINY) == 7
        for name in ("request", "queue", "preprocess", "compute"):
            assert page.value(f"conveyor_{name}_seconds_count", **TINY) == 7
            assert page.value(f"conveyor_{name}_seconds_bucket", le="+Inf", **TINY) == 7
        assert page.value("conveyor_batch_rows_sum", **TINY) == 7
        assert page.sum("conveyor_batches_total", **TINY) == 7
        assert page.value("conveyor_model_ready", **TINY) == 1
        size = (models / "tiny" / "1" / "model.onnx").stat().st_size
        assert page.value("conveyor_model_bytes", **TINY) == size
        assert page.value("conveyor_provider_info", provider="CPUExecutionProvider", **TINY) == 1
        assert (page.value("conveyor_server_ready"), page.value("conveyor_server_draining")) == (1, 0)


def test_tritons_names_say_what_the_statistics_of_its_protocol_say(server: ServerProcess) -> None:
    classify(server, 5)
    ask_statistics = server.channel.unary_unary(
        "/inference.GRPCInferenceService/ModelStatistics",
        request_serializer=triton.ModelStatisticsRequest.SerializeToString,
        response_deserializer=triton.ModelStatisticsResponse.FromString,
    )
    [counted] = ask_statistics(triton.ModelStatisticsRequest(name="tiny"), timeout=10).model_stats
    page = Page(server)
    assert page.value("nv_inference_count", **TINY) == counted.inference_count
    assert page.value("nv_inference_exec_count", **TINY) == counted.execution_count
    assert page.value("nv_inference_request_success", **TINY) == counted.inference_stats.success.count
    for part, name in [
        ("success", "request"),
        ("queue", "queue"),
        ("compute_input", "compute_input"),
        ("compute_infer", "compute_infer"),
        ("compute_output", "compute_output"),
    ]:
        nanoseconds = getattr(counted.inference_stats, part).ns
        shown = page.value(f"nv_inference_{name}_duration_us", **TINY)
        assert shown == pytest.approx(nanoseconds / 1000, abs=1)


def test_who_waits_and_who_is_refused_can_be_seen(models: Path) -> None:
    with running(models, *IMPATIENT, "--max-queue-delay", "60000", "--max-queue-size", "3") as server:
        callers = wait(server, 3)
        page = until(server, lambda page: page.value("conveyor_queue_rows", **TINY) == 3)
        assert page.value("conveyor_queue_limit_rows", **TINY) == 3
        assert page.value("conveyor_in_flight_requests", **TINY) == 3
        assert page.value("nv_inference_pending_request_count", **TINY) == 3
        with pytest.raises(grpc.RpcError):
            server.stub.Classify(REQUEST, timeout=10)
        page = Page(server)
        assert page.value("conveyor_requests_total", outcome="queue_full", **TINY) == 1
        assert page.value("nv_inference_request_failure", reason="REJECTED", **TINY) == 1
        server.signal(signal.SIGTERM)
        page = until(server, lambda page: page.value("conveyor_server_draining") == 1)
        assert page.value("conveyor_server_ready") == 0
        for caller in callers:
            caller.join()


def test_the_workers_add_up_and_one_that_dies_takes_nothing_with_it(models: Path, engine: str) -> None:
    with running(models, "--engine", engine, "--workers", "2") as server:
        classify(server, 30)
        page = Page(server)
        assert page.value("conveyor_requests_total", outcome="success", **TINY) == 30
        assert page.value("conveyor_queue_limit_rows", **TINY) == 2 * 1024
        assert (page.value("conveyor_workers"), page.value("conveyor_worker_restarts_total")) == (2, 0)
        processes = {f"worker-{number}" for number in range(2)} | {"parent"}
        for process in processes:
            assert page.value("conveyor_process_resident_bytes", process=process) > 10_000_000
            assert page.value("conveyor_process_threads", process=process) >= 1
        [killed, _] = [int(pid) for pid in _children(server.pid)]
        os.kill(killed, signal.SIGKILL)
        page = until(server, lambda page: page.value("conveyor_worker_restarts_total") == 1)
        assert page.value("conveyor_requests_total", outcome="success", **TINY) == 30
        assert page.value("conveyor_request_seconds_count", **TINY) == 30
        until(server, lambda page: page.value("conveyor_workers") == 2)
        classify(server, 6)
        assert Page(server).value("conveyor_requests_total", outcome="success", **TINY) == 36


def test_a_reload_and_an_unload_set_nothing_back(tmp_path: Path) -> None:
    write_tiny_model(tmp_path)
    with running(tmp_path, "--model-control-mode", "explicit", "--load-model", "*") as server:
        control = server.channel.unary_unary(
            "/inference.GRPCInferenceService/RepositoryModelLoad",
            request_serializer=triton.RepositoryModelLoadRequest.SerializeToString,
            response_deserializer=triton.RepositoryModelLoadResponse.FromString,
        )
        unload = server.channel.unary_unary(
            "/inference.GRPCInferenceService/RepositoryModelUnload",
            request_serializer=triton.RepositoryModelUnloadRequest.SerializeToString,
            response_deserializer=triton.RepositoryModelUnloadResponse.FromString,
        )
        classify(server, 3)
        control(triton.RepositoryModelLoadRequest(model_name="tiny"), timeout=30)
        classify(server, 2)
        assert Page(server).value("conveyor_requests_total", outcome="success", **TINY) == 5
        unload(triton.RepositoryModelUnloadRequest(model_name="tiny"), timeout=30)
        page = until(server, lambda page: page.value("conveyor_model_ready", **TINY) == 0)
        assert page.value("conveyor_requests_total", outcome="success", **TINY) == 5
        assert page.metrics["conveyor_queue_rows"].labels is None


def test_it_can_be_left_out(models: Path) -> None:
    with running(models, "--no-metrics") as server:
        assert ask(server.http_address, "/metrics").status == 404
        assert ask(server.http_address, "/healthz").status == 200


def _children(pid: int) -> list[str]:
    """The workers; Python's resource tracker, where there is one, is none."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
