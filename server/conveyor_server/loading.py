"""From a file to a model that may serve: verify, open, warm, replay. A file that fails anywhere raises and leaves
nothing behind.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from conveyor.v1 import model_pb2
from conveyor_contract.model_file import ModelFile, read_model_file
from conveyor_server.batcher import Batcher, BatchLimits
from conveyor_server.errors import LoadError
from conveyor_server.images import ImageReader
from conveyor_server.instance import ThreadInstance
from conveyor_server.model import Model
from conveyor_server.replay import replay
from conveyor_server.session import DTYPES, Session, SessionOptions

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How models are loaded: the same for every model of a server."""

    session: SessionOptions
    instance_count: int
    max_queue_size: int  # rows
    max_queue_delay: float  # seconds
    max_pixels: int
    decode_pool: Executor


async def load_model(path: Path, name: str, version: int, options: LoadOptions) -> Model:
    """Loads, warms and proves one version. Raises ConveyorError with the reason when it cannot be served."""
    started = time.perf_counter()
    file, contract, sessions = await asyncio.to_thread(_open, path, options)
    loop = asyncio.get_running_loop()
    limits = BatchLimits(
        max_batch_size=contract.batching.max_batch_size,
        max_queue_size=options.max_queue_size,
        max_queue_delay=options.max_queue_delay,
    )
    instances = [ThreadInstance(session, loop, f"{name}/{version}") for session in sessions]
    model = Model(
        name=name,
        version=version,
        version_text=str(version),
        labels=tuple(contract.labels),
        contract=contract,
        golden=file.golden or model_pb2.GoldenSamples(),
        file_digest=file.file_digest,
        provider=options.session.provider,
        reader=ImageReader(contract, options.decode_pool, options.max_pixels),
        batcher=Batcher(limits, instances, loop),
    )
    try:
        samples = await replay(model)
    except BaseException:
        model.batcher.close()
        raise
    seconds = time.perf_counter() - started
    log.info(
        "loaded model=%s version=%d provider=%s golden_samples=%d seconds=%.2f",
        *(name, version, model.provider, samples, seconds),
    )
    return model


def _open(path: Path, options: LoadOptions) -> tuple[ModelFile, model_pb2.ModelContract, Sequence[Session]]:
    file = read_model_file(path)
    contract = file.verify()
    datatype = contract.inputs[0].datatype
    if datatype not in DTYPES:
        raise LoadError(f"{path}: the input has datatype {datatype!r}; this server knows {', '.join(DTYPES)}.")
    sessions = [Session(path, contract, options.session) for _ in range(options.instance_count)]
    for session in sessions:
        session.warm(contract.batching.buckets)
    return file, contract, sessions
