"""The rows of the error table that need a busy or a stopping server."""

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import tritonclient.grpc as triton
from onnx import TensorProto
from tritonclient.utils import InferenceServerException

from tests.conformance.asking import Ask, check, tensor
from tests.conformance.conftest import FLAGS, Setup
from tests.conformance.models import write_echo, write_slow
from tests.server.process import ServerProcess

# Who comes while a server stops; more than are needed.
CALLERS = 40

Outcome = TypeVar("Outcome")


def test_a_full_queue(client: triton.InferenceServerClient, conveyor: None) -> None:
    config = {"dynamic_batching": {"default_queue_policy": {"max_queue_size": 8}}}
    client.load_model("slow", config=json.dumps(config))
    with occupied(client, 24) as outcomes:
        pass
    refused = [error for _, error in outcomes if error is not None]
    assert len(outcomes) == 24
    # Eight wait, of whom one may run before the rest arrive; the machine may even finish some.
    assert 0 < len(refused) <= 24 - 8
    for error in refused:
        assert error.status() == "StatusCode.UNAVAILABLE"
        assert error.message() == "[request id: <id_unknown>] Exceeds maximum queue size"
    client.load_model("slow")


def test_a_timeout_in_the_queue(
    client: triton.InferenceServerClient, ask: Ask, conveyor: None, one_queue: None
) -> None:
    with occupied(client, 8) as outcomes:
        check(lambda: ask("slow", [one()], timeout=20_000), "UNAVAILABLE", "Request timeout expired")
        assert len(outcomes) < 8, "it fires on time, not when its turn comes"


def test_a_deadline_of_the_call(client: triton.InferenceServerClient) -> None:
    with occupied(client, 2), pytest.raises(InferenceServerException) as caught:
        client.infer("slow", [one()], client_timeout=0.02)
    # Both sides keep the time, and either may be first.
    assert caught.value.status() in ("StatusCode.DEADLINE_EXCEEDED", "StatusCode.UNAVAILABLE")


def test_a_call_that_its_caller_cancels(client: triton.InferenceServerClient) -> None:
    with occupied(client, 2):
        answers: queue.Queue[Any] = queue.Queue()
        call = client.async_infer("slow", [one()], lambda result, error: answers.put(error))
        call.cancel()
        assert answers.get(timeout=30).status() == "StatusCode.CANCELLED"


def test_a_server_that_stops_finishes_what_it_accepted_and_refuses_the_rest(
    own_repository: Path, setup: Setup, tmp_path: Path
) -> None:
    write_slow(tmp_path)
    write_echo(tmp_path, "echo_whole", TensorProto.FLOAT, [2, 3])
    server = ServerProcess(tmp_path, *FLAGS, "--engine", setup.engine)
    with triton.InferenceServerClient(server.address) as client, connections(server, CALLERS) as callers:
        with occupied(client, 8) as outcomes:
            server.signal()
            server.wait_for_log("stopping")
            assert first_outcome(callers, lambda caller: caller.is_server_ready() is False or None)
            assert callers.pop().is_server_live()
            refusal = first_outcome(callers, refusal_of)
        assert refusal.status() == "StatusCode.UNAVAILABLE"
        assert refusal.message().startswith(
            "[request id: <id_unknown>] Server is stopping, scheduler for model has stopped accepting"
        )
    assert [error for _, error in outcomes] == [None] * 8
    assert server.stop() == 0


@contextmanager
def connections(server: ServerProcess, number: int) -> Iterator[list[triton.InferenceServerClient]]:
    """Clients that are connected already, each by itself."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    with ExitStack() as opened:
        clients = [
            opened.enter_context(triton.InferenceServerClient(server.address, channel_args=options))
            for _ in range(number)
        ]
        assert all(client.is_server_live() for client in clients)
        yield clients


def first_outcome(
    callers: list[triton.InferenceServerClient], ask: Callable[[triton.InferenceServerClient], Outcome | None]
) -> Outcome:
    """What the first caller finds that finds anything; each asks once, as Envoy sends away whom it still answers."""
    while True:
        outcome = ask(callers.pop())
        if outcome is not None:
            return outcome
        time.sleep(0.05)


def refusal_of(caller: triton.InferenceServerClient) -> InferenceServerException | None:
    """Why a request that takes no time is refused; None where it is answered."""
    try:
        caller.infer("echo_whole", [tensor("x", np.zeros((2, 3), np.float32))], client_timeout=60)
    except InferenceServerException as error:
        return error
    return None


def one() -> triton.InferInput:
    """An input for `slow`."""
    return tensor("x", np.ones(1, np.float32))


@contextmanager
def occupied(client: triton.InferenceServerClient, requests: int) -> Iterator[list[tuple[Any, Any]]]:
    """`slow` at work on so many requests; at the end their outcomes are in the list."""
    outcomes: list[tuple[Any, Any]] = []
    done = threading.Semaphore(0)

    def note(result: Any, error: Any) -> None:
        outcomes.append((result, error))
        done.release()

    for _ in range(requests):
        client.async_infer("slow", [one()], note)
    time.sleep(0.1)
    yield outcomes
    for _ in range(requests):
        assert done.acquire(timeout=60)
