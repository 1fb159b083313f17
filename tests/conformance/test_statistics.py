"""Counters that add up, before and after a known number of requests."""

import threading

import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from tests.conformance.asking import images, tensor

PARTS = ("queue", "compute_input", "compute_infer", "compute_output")


def counters(client: triton.InferenceServerClient, name: str) -> triton.service_pb2.ModelStatistics:
    [statistics] = client.get_inference_statistics(name).model_stats
    return statistics


def test_requests_rows_and_runs_are_counted(client: triton.InferenceServerClient) -> None:
    before = counters(client, "tiny")
    for rows in (1, 3, 8):
        client.infer("tiny", [tensor("image", images(rows))])
    after = counters(client, "tiny")
    assert (after.name, after.version) == ("tiny", "2")
    assert after.inference_count - before.inference_count == 12
    assert after.execution_count - before.execution_count == 3
    assert after.inference_stats.success.count - before.inference_stats.success.count == 3
    assert after.last_inference > before.last_inference
    for part in PARTS:
        count = getattr(after.inference_stats, part).count - getattr(before.inference_stats, part).count
        assert count == 3, part


def test_the_parts_of_a_request_add_up_to_the_whole(client: triton.InferenceServerClient, conveyor: None) -> None:
    for rows in (1, 8):
        client.infer("tiny", [tensor("image", images(rows))])
    statistics = counters(client, "tiny").inference_stats
    parts = sum(getattr(statistics, part).ns for part in PARTS)
    assert statistics.success.ns > 0
    assert parts == pytest.approx(statistics.success.ns, rel=0.001)


def test_batches_are_counted_by_their_rows(client: triton.InferenceServerClient) -> None:
    def ask() -> None:
        for _ in range(30):
            client.infer("tiny", [tensor("image", images(2))])

    before = counters(client, "tiny")
    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = counters(client, "tiny")
    assert after.inference_count - before.inference_count == 6 * 30 * 2
    rows = sum(batch.batch_size * batch.compute_infer.count for batch in after.batch_stats)
    runs = sum(batch.compute_infer.count for batch in after.batch_stats)
    assert rows == after.inference_count
    assert runs == after.execution_count
    assert runs - before.execution_count <= 6 * 30


def test_failures_are_counted_apart(client: triton.InferenceServerClient) -> None:
    before = counters(client, "picking").inference_stats
    with pytest.raises(InferenceServerException):
        client.infer("picking", [tensor("index", np.array([9]))])
    after = counters(client, "picking").inference_stats
    assert (after.fail.count - before.fail.count, after.success.count - before.success.count) == (1, 0)


def test_every_ready_model_has_its_counters(client: triton.InferenceServerClient) -> None:
    counted = {(one.name, one.version) for one in client.get_inference_statistics().model_stats}
    ready = {(one.name, one.version) for one in client.get_model_repository_index().models if one.state == "READY"}
    assert counted == ready


@pytest.mark.parametrize("name", ["nobody", "broken"])
def test_a_model_that_does_not_serve_has_none(client: triton.InferenceServerClient, name: str) -> None:
    with pytest.raises(InferenceServerException) as caught:
        client.get_inference_statistics(name)
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert caught.value.message() == f"requested model '{name}' is not available"
