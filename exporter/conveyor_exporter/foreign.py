"""`conveyor check`: anybody's ONNX classifier as a candidate, with a contract or without."""

from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, ValueInfoProto

from conveyor.v1 import model_pb2
from conveyor_contract.contract import dimensions, row_shape_of
from conveyor_contract.errors import ContractError
from conveyor_contract.model_file import ModelFile, read_model_file
from conveyor_contract.preprocessing import Preprocessor
from conveyor_exporter.checks.candidate import Candidate, failed, passed
from conveyor_exporter.checks.registry import check_candidate
from conveyor_exporter.checks.samples import replay
from conveyor_exporter.errors import RunError
from conveyor_exporter.onnx_graph import datatype_of, graph_inputs, shape_in_graph
from conveyor_exporter.precision.gate import FP32

BATCH_SIZES = (1, 2, 3, 7, 8)
FREE_SIZE = 224  # for a height or width that the graph leaves open


def check_file(path: Path, on_step: Callable[[str], None]) -> Iterator[model_pb2.Check]:
    """Every check that fits. Raises ContractError if the file cannot be read or is not ONNX."""
    outline = read_model_file(path)
    graph = _read_graph(path)
    contract = outline.contract
    if contract is not None:
        on_step("checking contract")
        yield _named("contract", _contract_check(outline))
    candidate = _from_contract(path, graph, contract) if contract is not None else _from_graph(path, graph)
    verdicts = list(check_candidate(candidate, on_step))
    yield from verdicts
    loaded = all(verdict.ok for verdict in verdicts if verdict.name == "loads")
    if contract is not None and outline.golden is not None and loaded:
        on_step("replaying golden samples")
        yield _named("golden_samples", _golden_check(candidate, contract, outline.golden))


def _contract_check(outline: ModelFile) -> model_pb2.Check:
    try:
        contract = outline.verify()
    except ContractError as error:
        return failed(str(error))
    return passed(f"{contract.model_name}, schema {contract.schema_version}: whole, sealed and of this graph")


def _golden_check(
    candidate: Candidate, contract: model_pb2.ModelContract, golden: model_pb2.GoldenSamples
) -> model_pb2.Check:
    try:
        has_preprocessing = contract.HasField("preprocessing")
        preprocessor = Preprocessor.from_message(contract.preprocessing) if has_preprocessing else None
        return replay(candidate, golden, preprocessor)
    except (ContractError, RunError) as error:
        return failed(str(error))


def _from_contract(path: Path, graph: ModelProto, contract: model_pb2.ModelContract) -> Candidate:
    if len(contract.inputs) != 1 or len(contract.outputs) != 1:
        return _from_graph(path, graph)
    return Candidate(
        graph=graph,
        source=path,
        input=contract.inputs[0],
        output=contract.outputs[0],
        labels=tuple(contract.labels),
        batch_sizes=tuple(sorted({1, *contract.batching.buckets})),
        row_shape=row_shape_of(contract.inputs[0]),
        precision=contract.precision or FP32,
    )


def _from_graph(path: Path, graph: ModelProto) -> Candidate:
    """What the graph declares is taken for what it claims."""
    inputs, outputs = graph_inputs(graph), list(graph.graph.output)
    if not inputs or not outputs:
        raise ContractError(f"{path}: the graph has no input or no output, so there is nothing to run.")
    shape = shape_in_graph(inputs[0])
    row_shape = tuple(size if isinstance(size, int) else FREE_SIZE for size in shape[1:])
    # A batch that the graph fixes is found by declared_axes; the other checks then say what can be said at that size.
    fixed = (shape[0],) if shape and isinstance(shape[0], int) and shape[0] > 0 else None
    return Candidate(
        graph=graph,
        source=path,
        input=_spec(inputs[0]),
        output=_spec(outputs[0], model_pb2.MEANING_PROBABILITIES),
        labels=(),
        batch_sizes=fixed or BATCH_SIZES,
        row_shape=row_shape,
    )


def _spec(
    value: ValueInfoProto, meaning: model_pb2.Meaning.ValueType = model_pb2.MEANING_UNSPECIFIED
) -> model_pb2.TensorSpec:
    return model_pb2.TensorSpec(
        name=value.name, datatype=datatype_of(value), shape=dimensions(*shape_in_graph(value)), meaning=meaning
    )


def _read_graph(path: Path) -> ModelProto:
    try:
        return onnx.load(str(path), load_external_data=False)
    except (DecodeError, ValueError) as error:
        raise ContractError(f"{path} is not an ONNX file ({error}).") from error


def _named(name: str, verdict: model_pb2.Check) -> model_pb2.Check:
    verdict.name = name
    return verdict
