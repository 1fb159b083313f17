"""The same request in the three ways that tritonclient has: synchronous, asyncio and streaming."""

import asyncio
import queue
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

SECONDS = 60


class Ask(Protocol):
    """Infers, and returns the result or raises InferenceServerException."""

    def __call__(self, model_name: str, inputs: Sequence[triton.InferInput], **options: Any) -> triton.InferResult: ...


def ask_sync(url: str, model_name: str, inputs: Sequence[triton.InferInput], **options: Any) -> triton.InferResult:
    """By the blocking client."""
    with triton.InferenceServerClient(url) as client:
        return client.infer(model_name, inputs, client_timeout=SECONDS, **options)


def ask_asyncio(url: str, model_name: str, inputs: Sequence[triton.InferInput], **options: Any) -> triton.InferResult:
    """By the asyncio client."""

    async def ask() -> triton.InferResult:
        async with triton_aio.InferenceServerClient(url) as client:
            return await client.infer(model_name, inputs, client_timeout=SECONDS, **options)

    return asyncio.run(ask())


def ask_stream(url: str, model_name: str, inputs: Sequence[triton.InferInput], **options: Any) -> triton.InferResult:
    """By a stream of one request."""
    answers: queue.Queue[tuple[triton.InferResult, InferenceServerException]] = queue.Queue()
    with triton.InferenceServerClient(url) as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        client.async_stream_infer(model_name, inputs, **options)
        result, error = answers.get(timeout=SECONDS)
        client.stop_stream()
    if error is not None:
        raise error
    return result


WAYS: dict[str, Callable[..., triton.InferResult]] = {
    "sync": ask_sync,
    "asyncio": ask_asyncio,
    "stream": ask_stream,
}


def way(name: str, url: str) -> Ask:
    """One of the three ways, to one server."""
    return partial(WAYS[name], url)


def tensor(name: str, array: npt.NDArray[Any], datatype: str = "") -> triton.InferInput:
    """An input with raw contents."""
    given = triton.InferInput(name, list(array.shape), datatype or np_to_triton_dtype(array.dtype))
    return given.set_data_from_numpy(array)


def images(count: int = 1, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Rows for `tiny`."""
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)


def check(call: Callable[[], Any], code: str, message: str) -> None:
    """The call fails with the code, where the way of asking knows one, and the message begins so."""
    with pytest.raises(InferenceServerException) as caught:
        call()
    assert caught.value.message().startswith(message)
    assert caught.value.status() in (None, f"StatusCode.{code}")
