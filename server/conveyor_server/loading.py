"""From a file to a model that may serve: verify, open, warm, replay. A file that fails anywhere raises and leaves
nothing behind.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from conveyor.v1 import model_pb2
from conveyor_contract.contract import SEAL_KEY
from conveyor_contract.model_file import ModelFile, read_model_file
from conveyor_contract.preprocessing import FORMATS
from conveyor_server.batch_limits import BatchLimits
from conveyor_server.batcher import Batcher
from conveyor_server.errors import LoadError
from conveyor_server.graph import GraphSession
from conveyor_server.images import ImageReader
from conveyor_server.instance import Instance, Runnable, ThreadInstance
from conveyor_server.model import Model
from conveyor_server.model_safety import check_model_file
from conveyor_server.own_thread import in_own_thread
from conveyor_server.replay import replay
from conveyor_server.session import Session, SessionOptions
from conveyor_server.signature import Signature, signature_of_contract
from conveyor_server.statistics import Spread, Statistics

log = logging.getLogger(__name__)


# Called with a model's name and version; stands around its load.
WatchLoad = Callable[[str, int], AbstractContextManager[None]]


def unwatched(name: str, version: int) -> AbstractContextManager[None]:
    """Nobody looks at loads."""
    return nullcontext()


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How models are loaded: the same for every model of a server."""

    session: SessionOptions
    instance_count: int
    max_queue_size: int  # rows
    max_queue_delay: float  # seconds
    max_pixels: int
    # Pillow's names.
    image_formats: Sequence[str] = FORMATS
    # Rows of a batch for models without a contract.
    graph_batch_size: int
    # Rows; no more than a contract's own limit, where there is one. 0 for that limit.
    max_batch_size: int = 0
    # Seconds that a version may take to be opened, warmed and proved.
    max_load_seconds: float = 600.0
    # Seconds from its arrival that a request may wait which says nothing of that itself; 0 for any.
    default_timeout: float = 0.0
    # Seconds that a model may take to finish what it accepted.
    drain_timeout: float = 30.0
    decode_pool: Executor
    # Whether to count how requests spread, beside their sums.
    spread: bool = True
    watch_load: WatchLoad = unwatched


async def load_model(path: Path, name: str, version: int, options: LoadOptions) -> Model:
    """Loads, warms and proves one version. Raises ConveyorError with the reason when it cannot be served."""
    try:
        with options.watch_load(name, version):
            async with asyncio.timeout(options.max_load_seconds):
                return await _load(path, name, version, options)
    except TimeoutError:
        message = f"{path}: it was not loaded, warmed and proved within {options.max_load_seconds:g} seconds"
        raise LoadError(f"{message}; --max-load-seconds sets the limit.") from None


async def _load(path: Path, name: str, version: int, options: LoadOptions) -> Model:
    started = time.perf_counter()
    opened = await in_own_thread(f"{name}/{version} load", lambda: _open(path, options))
    loop = asyncio.get_running_loop()
    limits = _limits(opened.signature, name, version, options)
    contract = opened.contract
    instances = [ThreadInstance(session, loop, f"{name}/{version}") for session in opened.sessions]
    model = Model(
        name=name,
        version=version,
        version_text=str(version),
        signature=opened.signature,
        labels=tuple(contract.labels) if contract else (),
        contract=contract,
        golden=opened.file.golden or model_pb2.GoldenSamples(),
        file_digest=opened.file.file_digest,
        provider=options.session.provider,
        reader=ImageReader(contract, options.decode_pool, options.max_pixels, options.image_formats)
        if contract
        else None,
        batcher=Batcher(limits, instances, loop),
    )
    model.batcher.statistics = Statistics(spread=Spread() if options.spread else None)
    try:
        for instance, warm in zip(instances, opened.warm_ups, strict=True):
            # By the thread that runs the batches: what CUDA graphs record belongs to a thread.
            await instance.do(warm)
            if contract:
                await _prove(model, contract, instance)
    except BaseException:
        model.batcher.close()
        raise
    seconds = time.perf_counter() - started
    log.info(
        "loaded model=%s version=%d provider=%s golden_samples=%d seconds=%.2f",
        *(name, version, model.provider, len(model.golden.samples), seconds),
    )
    return model


def _limits(signature: Signature, name: str, version: int, options: LoadOptions) -> BatchLimits:
    # Where there are no batches, a request is the one row of its own.
    most = signature.max_batch_size or 1
    if options.max_queue_size < most:
        log.warning(
            "the queue holds fewer rows than a batch, and refuses full requests "
            "model=%s version=%d max_queue_size=%d max_batch_size=%d",
            *(name, version, options.max_queue_size, most),
        )
    return BatchLimits(
        max_batch_size=most,
        max_queue_size=options.max_queue_size,
        max_queue_delay=options.max_queue_delay,
        default_timeout=options.default_timeout,
    )


async def _prove(model: Model, contract: model_pb2.ModelContract, instance: Instance) -> None:
    """Replays the golden samples on this very instance, through a batcher of its own.

    What is asked there is no caller's doing and is counted nowhere, and the callers' limits are not the proof's: all
    samples find room, and wait for nobody's company.
    """
    largest = model.batcher.limits.max_batch_size
    limits = BatchLimits(max_batch_size=largest, max_queue_size=largest)
    await replay(replace(model, batcher=Batcher(limits, [instance], asyncio.get_running_loop())), contract)


@dataclass(frozen=True, kw_only=True)
class _Opened:
    file: ModelFile
    signature: Signature
    # None for a plain ONNX file.
    contract: model_pb2.ModelContract | None
    sessions: Sequence[Runnable]
    # For each session what makes it ready for its first batch.
    warm_ups: Sequence[Callable[[], None]]


def _open(path: Path, options: LoadOptions) -> _Opened:
    file = read_model_file(path)
    # A file that lost its contract but kept the seal was tampered with: `verify` says so.
    contract = None if file.contract is None and SEAL_KEY not in file.metadata else file.verify()
    check_model_file(path, allow_custom_operators=bool(options.session.custom_operators))
    if contract is None:
        return _open_graph(file, options)
    signature = _limited(signature_of_contract(contract), options.max_batch_size)
    sessions = [Session(path, contract, options.session) for _ in range(options.instance_count)]
    sizes = [size for size in contract.batching.buckets if size <= signature.max_batch_size]
    warm_ups = [partial(session.warm, sizes) for session in sessions]
    return _Opened(file=file, signature=signature, contract=contract, sessions=sessions, warm_ups=warm_ups)


def _open_graph(file: ModelFile, options: LoadOptions) -> _Opened:
    log.warning("no contract in %s: served through tensors only, and nothing proves its answers", file.path)
    sessions = [
        GraphSession(file.path, options.session, options.max_batch_size or options.graph_batch_size)
        for _ in range(options.instance_count)
    ]
    warm_ups = [session.warm for session in sessions]
    signature = sessions[0].signature
    return _Opened(file=file, signature=signature, contract=None, sessions=sessions, warm_ups=warm_ups)


def _limited(signature: Signature, max_batch_size: int) -> Signature:
    if max_batch_size > signature.max_batch_size:
        raise LoadError(
            f"batches of {max_batch_size} rows were asked for, and the contract proves {signature.max_batch_size}."
        )
    return replace(signature, max_batch_size=max_batch_size or signature.max_batch_size)
