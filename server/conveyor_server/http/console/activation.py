"""A class activation map: where the last feature maps speak for an answer, in a session of its own.

There is one only where pooling and a single dense layer follow those maps, since then the answer is their weighted
sum. Nothing is read before someone asks, and it goes when its model goes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from conveyor_contract.digests import sha256
from conveyor_server.batch import Rows
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.http.console.pooled_head import PooledHead, find_pooled_head, with_output
from conveyor_server.model import Model
from conveyor_server.model_safety import stands_alone
from conveyor_server.own_thread import in_own_thread
from conveyor_server.providers import CPU, load_runtime

MIB: Final = 1024 * 1024
# Of the file, which is in memory once more while the session is there.
MOST_FILE_BYTES: Final = 256 * MIB
# Questions that run or wait for one model; one of them runs.
MOST_ASKED: Final = 4
# Places along one side of the map.
MOST_SIDE: Final = 64
PRECISION: Final = "fp32"

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ActivationMap:
    """`value` is the answer; `weighed` (places down, places across) says how much each place adds to its logit."""

    value: float
    weighed: Rows


class Activation:
    """One model version's way to its class activation maps. Keeps nothing of the model itself alive."""

    def __init__(self, model: Model) -> None:
        contract = model.contract
        assert contract is not None
        self._name = f"{model.name}/{model.version}"
        self._digest = model.file_digest
        self._tensors = (contract.inputs[0].name, contract.outputs[0].name)
        self._is_plain = contract.precision == PRECISION
        self._places = threading.BoundedSemaphore(MOST_ASKED)
        # Held by the thread that works, also where nobody waits for it any more.
        self._turn = threading.Lock()
        self._looked = False
        self._head: PooledHead | None = None
        self._session: Any = None

    async def is_offered(self, path: Path, patience: float) -> bool:
        """Whether the file `path` has such maps; `patience` in seconds. Raises ServingError."""
        if self._looked:
            return self._head is not None
        return await self._in_turn(lambda: self._find_head(path) is not None, patience)

    async def map(self, path: Path, row: Rows, index: int, patience: float) -> ActivationMap:
        """The map of output `index` for a row (height, width, channels); `patience` in seconds. Raises ServingError."""
        return await self._in_turn(lambda: self._map(path, row, index), patience)

    async def _in_turn(self, work: Callable[[], T], patience: float) -> T:
        if not self._places.acquire(blocking=False):
            raise ServingError(ErrorKind.QUEUE_FULL, "others are asking for this model's explanation; ask again later")

        def wait_and_work() -> T:
            try:
                with self._turn:
                    return work()
            finally:
                self._places.release()

        try:
            async with asyncio.timeout(patience):
                return await in_own_thread(f"{self._name} explanation", wait_and_work)
        except TimeoutError:
            message = f"the class activation map was not made within {patience:g} seconds"
            raise ServingError(ErrorKind.DEADLINE_PASSED, message) from None

    def _map(self, path: Path, row: Rows, index: int) -> ActivationMap:
        head = self._find_head(path)
        if head is None:
            message = (
                "this version has no class activation map: its file does not end in global average pooling, one dense "
                "layer and softmax in float32; ask for method occlusion"
            )
            raise ServingError(ErrorKind.INVALID_ARGUMENT, message)
        given, taken = self._tensors
        try:
            if self._session is None:
                self._session = _open(with_output(self._read(path), head.feature))
            answer, feature = self._session.run([taken, head.feature], {given: row[np.newaxis]})
        # ONNX Runtime's errors share no public class, and may name paths.
        except Exception as error:
            message = "the class activation map could not be made; ask for method occlusion"
            raise ServingError(ErrorKind.MODEL_FAILED, message) from error
        return ActivationMap(value=float(answer.reshape(-1)[index]), weighed=weigh(head, feature, index))

    def _find_head(self, path: Path) -> PooledHead | None:
        if not self._looked:
            if self._is_plain:
                self._head = self._look(path)
            self._looked = True
        return self._head

    def _look(self, path: Path) -> PooledHead | None:
        try:
            content = self._read(path)
            return find_pooled_head(content, self._tensors[1]) if stands_alone(content) else None
        except (OSError, ValueError):
            return None

    def _read(self, path: Path) -> bytes:
        """The bytes that the model was loaded and proved from. Raises ValueError for other ones, or too many."""
        if path.stat().st_size > MOST_FILE_BYTES:
            raise ValueError(f"more than {MOST_FILE_BYTES} bytes")
        content = path.read_bytes()
        if sha256(content) != self._digest:
            raise ValueError("the file has changed since it was loaded")
        return content


def weigh(head: PooledHead, feature: Rows, index: int) -> Rows:
    """The feature maps (1, channels, height, width), weighted as the dense layer weighs them for class `index`.

    Their mean is the class's logit, without its bias. Large ones are made smaller, by means. Raises ServingError where
    the maps are not the dense layer's.
    """
    if feature.ndim != 4 or feature.shape[:2] != (1, head.weights.shape[1]) or index >= len(head.weights):
        raise ServingError(ErrorKind.MODEL_FAILED, "the feature maps do not fit the dense layer; ask for occlusion")
    weighed: Rows = np.tensordot(head.weights[index].astype(np.float64), feature[0].astype(np.float64), axes=1)
    for axis in (0, 1):
        weighed = _shrunk(weighed, axis)
    return weighed


def _shrunk(places: Rows, axis: int) -> Rows:
    size = places.shape[axis]
    if size <= MOST_SIDE:
        return places
    starts = np.arange(MOST_SIDE) * size // MOST_SIDE
    counts = np.diff(starts, append=size)
    sums: Rows = np.add.reduceat(places, starts, axis=axis)
    means: Rows = sums / np.expand_dims(counts, 1 - axis)
    return means


def _open(content: bytes) -> Any:
    """On one thread of the CPU, wherever the model itself runs: one picture now and then must not cost the callers."""
    runtime = load_runtime()
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    return runtime.InferenceSession(content, settings, providers=[CPU])
