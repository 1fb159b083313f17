"""A model file answered in this process, as a server would answer: the contract's preprocessing, then ONNX Runtime."""

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from conveyor.v1 import model_pb2
from conveyor_client.errors import InvalidImage
from conveyor_client.results import Classification, Prediction, Timings
from conveyor_contract.errors import ContractError, ImageError
from conveyor_contract.model_file import read_model_file
from conveyor_contract.preprocessing import Preprocessor

Row = np.ndarray[Any, np.dtype[np.uint8]]


class LocalModel:
    """An ONNX file with a contract, ready to classify image files on the CPU.

    Raises ContractError for a file that is not whole, or whose model takes no images.
    """

    def __init__(self, path: Path) -> None:
        file = read_model_file(path)
        self._contract = file.verify()
        if not self._contract.HasField("preprocessing"):
            raise ContractError(f"{path} is fed with tensors, not with images; send them to a server instead")
        self._file_digest = file.file_digest
        self._version = path.parent.name if path.parent.name.isdigit() else ""
        self._preprocessor = Preprocessor.from_message(self._contract.preprocessing)
        onnxruntime.disable_telemetry_events()
        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def classify(self, files: Iterable[Path], top_k: int, readers: Executor) -> Iterator[Classification]:
        """One outcome each, in their order: decoded by the readers, run in batches as large as the contract proves."""
        numbered = enumerate(files)
        while batch := list(islice(numbered, self._contract.batching.max_batch_size)):
            yield from self._run(batch, top_k, readers)

    def _run(self, batch: Sequence[tuple[int, Path]], top_k: int, readers: Executor) -> list[Classification]:
        started = time.perf_counter()
        rows: dict[int, Row] = {}
        outcomes: dict[int, Classification] = {}
        decoded_rows = readers.map(self._decode, [file for _, file in batch])
        for (index, file), row in zip(batch, decoded_rows, strict=True):
            if isinstance(row, InvalidImage):
                outcomes[index] = Classification(image=str(file), index=index, error=row)
            else:
                rows[index] = row
        if rows:
            decoded = time.perf_counter()
            [answers] = self._session.run(None, {self._contract.inputs[0].name: np.stack(list(rows.values()))})
            timings = Timings(
                preprocess_us=int((decoded - started) * 1e6),
                compute_us=int((time.perf_counter() - decoded) * 1e6),
                batch_size=len(rows),
            )
            names = dict(batch)
            for index, answer in zip(rows, answers, strict=True):
                outcomes[index] = self._outcome(str(names[index]), index, answer, timings, top_k)
        return [outcomes[index] for index, _ in batch]

    def _decode(self, file: Path) -> Row | InvalidImage:
        try:
            return self._preprocessor.decode(file.read_bytes())
        except (ImageError, OSError) as error:
            said = error.strerror if isinstance(error, OSError) else str(error)
            return InvalidImage(f"{file}: {said}".rstrip("."))

    def _outcome(self, image: str, index: int, answer: Any, timings: Timings, top_k: int) -> Classification:
        regression = self._contract.task == model_pb2.TASK_REGRESSION
        best: Any = [] if regression else np.argsort(-answer, kind="stable")[:top_k]
        return Classification(
            image=image,
            index=index,
            predictions=tuple(
                Prediction(label=self._contract.labels[each], index=int(each), probability=float(answer[each]))
                for each in best
            ),
            values=tuple(answer.tolist()) if regression else (),
            model_name=self._contract.model_name,
            model_version=self._version,
            file_digest=self._file_digest,
            timings=timings,
        )
