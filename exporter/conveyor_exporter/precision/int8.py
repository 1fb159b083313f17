"""int8 by static quantisation: 8-bit activations and weights around Conv and Gemm, scales measured on real rows.

The head that normalises and the softmax stay in float: Conv and Gemm alone are quantised, weights per output channel;
a ReLU between two of them dissolves in the limits of the 8-bit range. Activations are unsigned and weights signed, the
only pair that ONNX Runtime runs fast on x86.
"""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx

from conveyor_exporter.errors import ExportError
from conveyor_exporter.model_input import Rows
from conveyor_exporter.onnx_graph import strip_machine_traces

CALIBRATION_ROWS = 512
_CHUNK_ROWS = 32
_OPERATORS = ["Conv", "Gemm", "Relu"]


def quantise(model: bytes, input_name: str, calibration: Rows) -> bytes:
    """The int8 form of a serialized fp32 model. `calibration` are rows as the graph takes them, of the training data.

    Raises ExportError when the model holds nothing to quantise, or ONNX Runtime cannot quantise it.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime carries no types
        """Feeds the rows once, in chunks."""

        def __init__(self) -> None:
            self._chunks = _chunks(input_name, calibration)

        def get_next(self) -> dict[str, Rows] | None:
            return next(self._chunks, None)

    graph = onnx.load_from_string(model)
    if not any(node.op_type in _OPERATORS[:2] for node in graph.graph.node):
        raise ExportError("the network has no Conv and no Gemm, so int8 has nothing to make faster; export fp32.")
    with tempfile.TemporaryDirectory() as folder, _quiet():
        target = Path(folder) / "int8.onnx"
        try:
            quantize_static(
                graph,
                str(target),
                Reader(),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                op_types_to_quantize=_OPERATORS,
            )
        except Exception as error:  # the quantiser raises whatever its many parts do
            raise ExportError(f"ONNX Runtime cannot quantise the model ({' '.join(str(error).split())}).") from error
        quantised = onnx.load(str(target))
    strip_machine_traces(quantised)
    return quantised.SerializeToString(deterministic=True)


def _chunks(input_name: str, rows: Rows) -> Iterator[dict[str, Rows]]:
    for start in range(0, len(rows), _CHUNK_ROWS):
        yield {input_name: rows[start : start + _CHUNK_ROWS]}


@contextmanager
def _quiet() -> Iterator[None]:
    """Holds back the quantiser's advice, which goes to the root logger."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
