"""From anybody's ONNX file to a proof: the graph with our head and end, beside the file as it is."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from conveyor.v1 import model_pb2
from conveyor_contract.contract import row_shape_of
from conveyor_contract.errors import ContractError
from conveyor_contract.model_file import read_model_file
from conveyor_exporter.checks.candidate import Candidate, Proof
from conveyor_exporter.contract_of import output_spec
from conveyor_exporter.description import ExportOptions, ModelDescription
from conveyor_exporter.errors import ConversionError, ExportError, RunError
from conveyor_exporter.graph_around import OriginalInput, graph_around, original_input
from conveyor_exporter.model_input import ImageInput, Rows
from conveyor_exporter.session import Session

_CHUNK_ROWS = 32
_NUMPY_TYPES: dict[int, type[np.generic]] = {
    onnx.TensorProto.UINT8: np.uint8,
    onnx.TensorProto.FLOAT: np.float32,
    onnx.TensorProto.FLOAT16: np.float16,
    onnx.TensorProto.DOUBLE: np.float64,
}


@dataclass(frozen=True, kw_only=True)
class FileReference:
    """The file as it was given, fed with images that numpy has normalised."""

    session: Session
    original: OriginalInput
    description: ModelDescription
    name: str = "original"

    def raw_answers(self, rows: Rows) -> NDArray[np.float32]:
        """What the file answers [N, outputs]."""
        size = self.original.batch or _CHUNK_ROWS
        return np.concatenate([self._chunk(rows[start : start + size]) for start in range(0, len(rows), size)])

    def answers(self, rows: Rows) -> NDArray[np.float32]:
        """What the adopted file must answer."""
        raw = self.raw_answers(rows)
        if not self.description.adds_softmax:
            return raw
        powers = np.exp(raw - raw.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)

    def layer_answers(self, rows: Rows) -> dict[str, tuple[str, NDArray[np.float32]]]:
        """A file knows no modules."""
        return {}

    def _chunk(self, rows: Rows) -> NDArray[np.float32]:
        # A file that fixes its batch gets zeros to fill it up.
        filled = np.zeros((self.original.batch or len(rows), *rows.shape[1:]), rows.dtype)
        filled[: len(rows)] = rows
        answers = self.session.run(self._as_taken(filled)).astype(np.float32)
        if answers.ndim != 2 or len(answers) != len(filled):
            raise ConversionError(
                "forward",
                f"the file turns {len(filled)} rows into {list(answers.shape)}; expected one value per label and row.",
            )
        return answers[: len(rows)]

    def _as_taken(self, rows: Rows) -> Rows:
        if self.original.takes_pixels:
            return np.ascontiguousarray(rows.transpose(0, 3, 1, 2)) if self.original.is_nchw else rows
        planes = self.description.input.normalise(rows)
        layout = planes if self.original.is_nchw else planes.transpose(0, 2, 3, 1)
        return np.ascontiguousarray(layout, _NUMPY_TYPES[self.original.datatype])


def proof_of_file(path: Path, description: ModelDescription, options: ExportOptions) -> Proof:
    """The file with our head and end, beside itself.

    Raises ContractError if the file is not ONNX, ExportError or ConversionError if it is nothing to adopt.
    """
    graph = _load(path)
    assert isinstance(description.input, ImageInput)  # adopt has seen to it
    original = original_input(graph, description.input)
    layout = model_pb2.LAYOUT_NCHW if original.is_nchw else model_pb2.LAYOUT_NHWC
    description = replace(description, input=replace(description.input, layout=layout))
    reference = FileReference(session=_session(path), original=original, description=description)
    row_shape = row_shape_of(description.input.spec())
    outputs = reference.raw_answers(np.zeros((1, *row_shape), np.uint8)).shape[1]
    description.check_outputs(outputs)
    adopted = graph_around(graph, original, description, outputs)
    candidate = Candidate(
        graph=adopted,
        source=adopted.SerializeToString(deterministic=True),
        input=description.input.spec(),
        output=output_spec(description, outputs),
        labels=description.labels or tuple(str(index) for index in range(outputs)),
        batch_sizes=options.batch_sizes,
        row_shape=row_shape,
    )
    return Proof(
        candidate=candidate,
        layer_outputs={},
        reference=reference,
        test=description.test,
        golden_rows=description.golden_rows(options.golden),
    )


def _load(path: Path) -> onnx.ModelProto:
    read_model_file(path)  # its errors are clearer than protobuf's
    try:
        return onnx.load(str(path))
    except (DecodeError, ValueError) as error:
        raise ContractError(f"{path} is not an ONNX file ({error}).") from error
    except OSError as error:
        raise ExportError(f"weights that lie beside {path} cannot be read ({error.strerror or error}).") from error


def _session(path: Path) -> Session:
    try:
        return Session(path)
    except RunError as error:
        raise ConversionError("loads", f"{error}.") from error
