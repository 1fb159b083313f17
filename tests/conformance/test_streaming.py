"""Streams with many requests in flight, by the synchronous and the asyncio client."""

import asyncio
import queue
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException

from tests.conformance.asking import images, tensor

Answers = queue.Queue[tuple[triton.InferResult, InferenceServerException]]
REQUESTS = 200


def test_answers_come_in_the_order_of_the_requests(client: triton.InferenceServerClient) -> None:
    answers: Answers = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    for number in range(REQUESTS):
        array = np.full((1 + number % 3, 2), number, np.float32)
        client.async_stream_infer("echo_fp32", [tensor("x", array)], request_id=str(number))
    client.stop_stream()
    for number in range(REQUESTS):
        result, error = answers.get_nowait()
        assert error is None
        assert result.get_response().id == str(number)
        assert (result.as_numpy("y") == number).all()


def test_an_error_is_its_own_requests_alone(client: triton.InferenceServerClient) -> None:
    answers: Answers = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    for name in ("tiny", "nobody", "tiny"):
        client.async_stream_infer(name, [tensor("image", images())])
    client.stop_stream()
    errors = [answers.get_nowait()[1] for _ in range(3)]
    assert errors[0] is None
    assert errors[1].message() == "Request for unknown model: 'nobody' is not found"
    assert errors[2] is None


def test_an_error_ends_the_stream_with_its_code_where_that_is_wished(client: triton.InferenceServerClient) -> None:
    answers: Answers = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)), headers={"triton_grpc_error": "true"})
    client.async_stream_infer("tiny", [tensor("image", images())])
    client.async_stream_infer("nobody", [tensor("image", images())])
    assert answers.get(timeout=60)[1] is None
    _, error = answers.get(timeout=60)
    assert error.status() == "StatusCode.NOT_FOUND"
    client.stop_stream()


def test_the_last_answer_to_a_request_says_so_where_that_is_wished(client: triton.InferenceServerClient) -> None:
    answers: Answers = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    client.async_stream_infer("tiny", [tensor("image", images())], enable_empty_final_response=True)
    client.async_stream_infer("tiny", [tensor("image", images())])
    client.stop_stream()
    marked, unmarked = (answers.get_nowait()[0].get_response() for _ in range(2))
    assert marked.parameters["triton_final_response"].bool_param is True
    assert "triton_final_response" not in unmarked.parameters


def test_a_cancelled_stream_harms_nobody(client: triton.InferenceServerClient) -> None:
    answers: Answers = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    for _ in range(50):
        client.async_stream_infer("slow", [tensor("x", np.ones(1, np.float32))])
    client.stop_stream(cancel_requests=True)
    assert client.infer("tiny", [tensor("image", images())]).as_numpy("probabilities").shape == (1, 3)


@pytest.mark.parametrize("requests", [0, 1, REQUESTS])
def test_the_asyncio_client_streams(url: str, requests: int) -> None:
    async def inputs() -> AsyncIterator[dict[str, Any]]:
        for number in range(requests):
            array = np.full((1, 2), number, np.float32)
            yield {"model_name": "echo_fp32", "inputs": [tensor("x", array)], "request_id": str(number)}

    async def stream() -> list[str]:
        found = []
        async with triton_aio.InferenceServerClient(url) as client:
            async for result, error in client.stream_infer(inputs()):
                assert error is None
                found.append(result.get_response().id)
        return found

    assert asyncio.run(stream()) == [str(number) for number in range(requests)]
