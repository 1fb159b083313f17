"""What a request costs between the engine and the model: CPU microseconds a request, stage by stage, no network.

One process drives the very handlers that an engine drives, with ready request bytes and many requests in flight. CPU
time hardly depends on what else the machine does, so a difference of a microsecond shows:

    python server/benchmarks/handler_cost.py REPOSITORY/NAME/VERSION/model.onnx [--in-flight 64] [--profile STAGE]
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from conveyor.v1 import classifier_pb2
from conveyor_contract.preprocessing import encode_png
from conveyor_server.batch import Rows
from conveyor_server.batcher import Batcher
from conveyor_server.calls import CallContext, Method, Response, UnaryMethod, answer_unary
from conveyor_server.gate import Gate
from conveyor_server.inference import inference_pb2
from conveyor_server.inference.codes import INFERENCE_CODES
from conveyor_server.inference.infer import InferenceHandlers
from conveyor_server.inference.shared_memory import SharedMemory
from conveyor_server.instance import ThreadInstance
from conveyor_server.loading import LoadOptions, load_model
from conveyor_server.model import Model
from conveyor_server.repository import Repository
from conveyor_server.running import run_in_loop
from conveyor_server.service import ClassifierService, ServiceLimits
from conveyor_server.session import SessionOptions
from conveyor_server.signature import Signature, pack
from conveyor_server.statuses import CONVEYOR_CODES

MOST_ROWS: Final = 4096
ROUNDS: Final = 7


@dataclass(frozen=True)
class Caller:
    """A call's context, as an engine would give it."""

    deadline: float | None = None
    peer: str = "ipv4:127.0.0.1:1"
    metadata: Mapping[str, str | bytes] = field(default_factory=dict)
    certificate_name: str | None = None

    def add_trailing_metadata(self, key: str, value: str) -> None:
        """Nobody reads it."""


class ConstantSession:
    """Answers without computing: what is left is our own cost."""

    def __init__(self, signature: Signature) -> None:
        arrays = [np.zeros((MOST_ROWS, *tensor.shape), tensor.datatype.dtype) for tensor in signature.outputs]
        self._output = pack(signature.outputs, arrays)

    def run(self, rows: Rows) -> Rows:
        """As many rows of zeros."""
        return self._output[: len(rows)]


class OneModel(Repository):
    """A repository that holds one model, loaded already."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def find(self, name: str, version: str) -> Model:
        """The model."""
        return self._model


class Unwatched:
    """Nothing is on trial."""

    def canary_for(self, name: str, version: str, request_id: str, context: CallContext) -> Model | None:
        """Never."""
        return None

    def shares_out(self, name: str) -> bool:
        """It does not."""
        return False

    async def drift_of(self, model: Model) -> classifier_pb2.Drift | None:
        """Unknown."""
        return None


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Something to measure: what one request does, and what to call it."""

    name: str
    request: Callable[[], Awaitable[object]]


def stages_of(model: Model) -> list[Stage]:
    """From an empty handler to the whole way; "model" stages compute, the others get zeros at once."""
    quick, blind = (replace(model, batcher=constant_batcher(model)) for _ in range(2))
    blind.batcher.statistics.spread = None
    row = np.random.default_rng(0).random((1, *model.signature.inputs[0].shape))
    row = (row * 255).astype(model.signature.inputs[0].datatype.dtype)
    infer = infer_request(model, row)
    pixels, png = (classify_request(model, row, encoded=encoded) for encoded in (False, True))
    stages = [
        _stage("task", _method(_empty, inference_pb2.ModelInferRequest), b""),
        _stage("parse infer", _method(_empty, inference_pb2.ModelInferRequest), infer),
        Stage(name="batcher", request=lambda: _run_row(quick.batcher, row)),
        _stage("infer", _infer_method(quick), infer),
        _stage("infer, the long way", replace(_infer_method(quick), shortcut=None), infer),
        _stage("infer, no histograms", _infer_method(blind), infer),
        _stage("infer, deadline", _infer_method(quick), infer, Caller(time.monotonic() + 1e5)),
        _stage("infer, model", _infer_method(model), infer),
    ]
    if pixels and png:
        stages += [
            _stage("parse pixels", _method(_empty, classifier_pb2.ClassifyRequest), pixels),
            _stage("pixels", _classify_method(quick), pixels),
            _stage("PNG", _classify_method(quick), png),
            _stage("pixels, model", _classify_method(model), pixels),
        ]
    return stages


def constant_batcher(model: Model) -> Batcher:
    """The model's batcher over a session that does not compute."""
    loop = asyncio.get_running_loop()
    instance = ThreadInstance(ConstantSession(model.signature), loop, "constant")
    return Batcher(model.batcher.limits, [instance], loop)


async def measure(stage: Stage, requests: int, in_flight: int) -> float:
    """CPU microseconds of the process for one of `requests`, each a task of its own as an engine makes it."""
    loop = asyncio.get_running_loop()
    left = requests

    async def caller() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await loop.create_task(_awaited(stage.request))

    started = time.process_time()
    await asyncio.gather(*(caller() for _ in range(in_flight)))
    return (time.process_time() - started) / requests * 1e6


async def _awaited(request: Callable[[], Awaitable[object]]) -> None:
    await request()


async def _run_row(batcher: Batcher, row: Rows) -> None:
    batcher.admit(1)
    await batcher.run(row, None)


def _stage(name: str, method: UnaryMethod, payload: bytes, caller: CallContext | None = None) -> Stage:
    context = caller or Caller()
    return Stage(name=name, request=lambda: answer_unary(method, payload, context))


async def _empty(request: object, context: CallContext) -> Response:
    return _NOTHING


_NOTHING: Final = inference_pb2.ModelInferResponse()


def _method(handler: Callable[..., Awaitable[Response]], request_type: type) -> UnaryMethod:
    return UnaryMethod(handler=handler, request_type=request_type, codes=CONVEYOR_CODES)


def _infer_method(model: Model) -> UnaryMethod:
    handlers = InferenceHandlers(OneModel(model), Unwatched(), Gate(), SharedMemory(), 1)
    request_type = inference_pb2.ModelInferRequest
    return UnaryMethod(
        handler=handlers.model_infer, request_type=request_type, codes=INFERENCE_CODES, shortcut=handlers.shortcut
    )


def _classify_method(model: Model) -> UnaryMethod:
    limits = ServiceLimits(max_images_per_request=256, max_stream_in_flight=1, expose_golden_samples=False)
    service = ClassifierService(OneModel(model), Gate(), limits, lambda _: None, Unwatched())
    methods: Mapping[str, Method] = service.methods()
    method = methods["/conveyor.v1.ClassifierService/Classify"]
    assert isinstance(method, UnaryMethod)
    return method


def infer_request(model: Model, rows: Rows) -> bytes:
    """A ModelInferRequest with raw contents for a model of one input."""
    tensor = model.signature.inputs[0]
    request = inference_pb2.ModelInferRequest(model_name=model.name, raw_input_contents=[rows.tobytes()])
    request.inputs.add(name=tensor.name, datatype=tensor.datatype.name, shape=rows.shape)
    return request.SerializeToString()


def classify_request(model: Model, rows: Rows, *, encoded: bool) -> bytes:
    """A ClassifyRequest with a PNG or with raw pixels for each row; empty where the model takes no images."""
    if model.contract is None or not model.contract.HasField("preprocessing"):
        return b""
    request = classifier_pb2.ClassifyRequest(model_name=model.name)
    for row in rows:
        image = request.images.add()
        if encoded:
            image.encoded = encode_png(row)
        else:
            image.pixels.height, image.pixels.width = row.shape[:2]
            image.pixels.colour_mode = model.contract.preprocessing.colour_mode
            image.pixels.data = row.tobytes()
    return request.SerializeToString()


async def run(options: argparse.Namespace) -> int:
    """Prints the table, or the profile of one stage."""
    load = LoadOptions(
        session=SessionOptions(provider="CPUExecutionProvider", intra_op_threads=1),
        instance_count=1,
        max_queue_size=MOST_ROWS,
        max_queue_delay=0.0,
        max_pixels=10**6,
        graph_batch_size=32,
        decode_pool=ThreadPoolExecutor(1),
    )
    stages = stages_of(await load_model(options.file, options.file.parent.parent.name, 1, load))
    if options.profile:
        await _profile(next(stage for stage in stages if stage.name == options.profile), options)
        return 0
    costs: dict[str, list[float]] = {stage.name: [] for stage in stages}
    for _ in range(ROUNDS):
        for stage in stages:
            costs[stage.name].append(await measure(stage, options.requests, options.in_flight))
    _write("CPU us a request".rjust(38) + "median".rjust(10))
    for name, values in costs.items():
        _write(f"{name:22s}{min(values):16.1f}{statistics.median(values):10.1f}")
    return 0


async def _profile(stage: Stage, options: argparse.Namespace) -> None:
    await measure(stage, options.requests, options.in_flight)
    profile = cProfile.Profile()
    profile.enable()
    await measure(stage, options.requests, options.in_flight)
    profile.disable()
    pstats.Stats(profile).sort_stats("tottime").print_stats(30)


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--profile", metavar="STAGE", help="a line of the table, to see where its time goes")
    return run_in_loop(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
