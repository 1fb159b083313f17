"""The servers that are measured, each on the servers' core, and the workloads put on them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import grpc

from conveyor_bench.compare.models import FLOAT_MODEL, MODEL
from conveyor_bench.inference import InferenceServer, noise_requests
from conveyor_bench.payloads import Question, build_items, build_requests, noise_images
from conveyor_bench.server_process import running, serving
from conveyor_bench.workload import CLASSIFY, CLASSIFY_STREAM, MODEL_INFER, Workload
from conveyor_client import Client

SYNC_ECHO, ASYNC_ECHO = "bare grpcio echo, threads", "bare grpcio echo, asyncio + uvloop"
_ECHOES = {SYNC_ECHO: "sync", ASYNC_ECHO: "asyncio"}
STREAMS = 8


@dataclass(frozen=True, kw_only=True)
class Target:
    """A server and what it is asked, by the row's name."""

    name: str
    workload: Workload


def cores() -> tuple[set[int], set[int]]:
    """The core of the servers, and those of the load: the same one where there is only one."""
    first, *others = sorted(os.sched_getaffinity(0))
    return {first}, set(others[:1]) or {first}


@contextmanager
def pinned(allowed: set[int]) -> Iterator[None]:
    """Threads and processes that start meanwhile keep to these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, allowed)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def start_engine(stack: ExitStack, repository: Path, engine: str, *options: str) -> str:
    """Serves until the stack ends; the address."""
    return stack.enter_context(serving(repository, "--engine", engine, *options)).address


def start_echoes(stack: ExitStack, like: Workload) -> list[Target]:
    """Both echoes: each call is answered with the answer that `like`'s server gives."""
    with grpc.insecure_channel(like.address) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(like.method)
        answer = call(like.requests[0], timeout=10).hex()
    targets = []
    for name, kind in _ECHOES.items():
        echo = stack.enter_context(running([sys.executable, "-m", "conveyor_bench.echo", kind, answer]))
        targets.append(
            Target(name=name, workload=Workload(address=echo.address, method=like.method, requests=like.requests))
        )
    return targets


def infer(address: str, model: str, rows: int = 1) -> Workload:
    """ModelInfer with noise."""
    with InferenceServer(address, timeout=10) as server:
        metadata = server.metadata(model, "")
    return Workload(address=address, method=MODEL_INFER, requests=noise_requests(metadata, "", rows, seed=0))


def classify(address: str, encoding: Literal["raw", "png"], images: int = 1) -> Workload:
    """Classify with noise."""
    with Client(address) as client:
        model = client.model(MODEL)
    question = Question(model=MODEL, version="", top_k=1, images_per_request=images)
    requests = build_requests(noise_images(model, encoding, seed=0), question)
    return Workload(address=address, method=CLASSIFY, requests=requests)


def classify_stream(address: str) -> Workload:
    """ClassifyStream with noise, over STREAMS streams."""
    with Client(address) as client:
        model = client.model(MODEL)
    question = Question(model=MODEL, version="", top_k=1, images_per_request=1)
    items = build_items(noise_images(model, "raw", seed=0), question)
    return Workload(address=address, method=CLASSIFY_STREAM, requests=items, streams=STREAMS)


def single_image_targets(engine: str, address: str) -> list[Target]:
    """One image a request, each way that there is; float32 tensors first."""
    return [
        Target(name=f"{engine}: ModelInfer, float32", workload=infer(address, FLOAT_MODEL)),
        Target(name=f"{engine}: ModelInfer, uint8", workload=infer(address, MODEL)),
        Target(name=f"{engine}: Classify, raw pixels", workload=classify(address, "raw")),
        Target(name=f"{engine}: Classify, PNG", workload=classify(address, "png")),
    ]
