"""From a network to the bytes of an ONNX file. Needs torch, onnx and onnxscript.

In two steps: torch.export first, because only it refuses a network that fixes its batch size; torch.onnx.export, asked
directly, quietly writes a model of that one size. Then all that tells of the machine is taken out, so that equal
weights give equal bytes.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from io import StringIO

import numpy as np
import onnx
import torch
from torch import nn

from conveyor_contract.contract import BATCH_AXIS, row_shape_of
from conveyor_exporter.description import ExportOptions, ModelDescription
from conveyor_exporter.diagnose import explain_onnx_failure, explain_trace_failure
from conveyor_exporter.errors import ExportError
from conveyor_exporter.model_input import Rows
from conveyor_exporter.onnx_graph import strip_machine_traces
from conveyor_exporter.wrapper import ServingModule

# Protobuf cannot hold 2 GB; above this, weights would need a second file, and a pair is easily torn apart.
MAX_FILE_BYTES = 1_500_000_000
EXAMPLE_ROWS = 2  # never 1: torch takes a size of 1 for a constant


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """A serialized ONNX model, without a contract yet, and for each of the network's modules its value in the graph."""

    model: bytes
    layer_outputs: dict[str, str]


def convert(network: nn.Module, description: ModelDescription, options: ExportOptions) -> Conversion:
    """Converts a network in eval mode on the CPU. Raises ConversionError naming what in the network prevents it."""
    _refuse_large(network)
    serving = ServingModule(network, description).eval()
    example = torch.from_numpy(example_rows(description))
    with _quiet(), torch.no_grad():
        program = _trace(serving, example, options.max_batch_size)
        exported = _to_onnx(program, description, options.opset)
    assert exported is not None  # None only when a file name is passed in and dynamo is off
    proto = exported.model_proto
    layer_outputs = _layer_outputs(proto)
    strip_machine_traces(proto)
    return Conversion(model=proto.SerializeToString(deterministic=True), layer_outputs=layer_outputs)


def example_rows(description: ModelDescription) -> Rows:
    """The rows that a network is traced with."""
    spec = description.input.spec()
    return np.zeros((EXAMPLE_ROWS, *row_shape_of(spec)), np.uint8 if spec.datatype == "UINT8" else np.float32)


def _trace(serving: ServingModule, example: torch.Tensor, max_batch_size: int) -> torch.export.ExportedProgram:
    batch = torch.export.Dim(BATCH_AXIS, min=1, max=max(max_batch_size, EXAMPLE_ROWS))
    shapes = ({0: batch},)
    try:
        return torch.export.export(serving, (example,), dynamic_shapes=shapes, strict=False)
    except Exception as error:  # torch raises a dozen types here, some of them private
        raise explain_trace_failure(error, serving, example, shapes) from error


def _to_onnx(
    program: torch.export.ExportedProgram, description: ModelDescription, opset: int
) -> torch.onnx.ONNXProgram | None:
    try:
        return torch.onnx.export(
            program,
            (),
            input_names=[description.input.spec().name],
            output_names=[description.output_name],
            opset_version=opset,
            dynamic_shapes=({0: BATCH_AXIS},),
            optimize=True,
            verify=False,
            verbose=False,
        )
    except Exception as error:  # as above
        raise explain_onnx_failure(error) from error


def _layer_outputs(proto: onnx.ModelProto) -> dict[str, str]:
    """Module path in the network ("features.0") -> name of the last value computed within it."""
    outputs: dict[str, str] = {}
    for node in proto.graph.node:
        notes = {entry.key: entry.value for entry in node.metadata_props}
        scopes = notes.get("pkg.torch.onnx.name_scopes", "").strip("[]").split(", ")
        for scope in (text.strip("'\"") for text in scopes):
            if scope.startswith("network.") and node.output:
                outputs[scope.removeprefix("network.")] = node.output[0]
    return outputs


def _refuse_large(network: nn.Module) -> None:
    size = sum(int(np.prod(tensor.shape)) * 4 for tensor in network.state_dict().values())
    if size > MAX_FILE_BYTES:
        raise ExportError(
            f"the weights take {size / 1e9:.1f} GB in fp32, over the {MAX_FILE_BYTES / 1e9:.1f} GB that fit one "
            "ONNX file; export a smaller network."
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Holds back torch's notes on packages that it misses and graphs that it gives up: its errors are raised too."""
    loggers = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict) if name.startswith("torch")]
    levels = {handler: handler.level for logger in loggers for handler in logger.handlers}
    for handler in levels:
        handler.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for handler, level in levels.items():
            handler.setLevel(level)
