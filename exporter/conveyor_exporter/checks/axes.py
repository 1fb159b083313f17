"""Checks of names, types and shapes: what is declared, what the graph says, what a run gives."""

from contextlib import suppress

from onnx import ValueInfoProto

from conveyor.v1 import model_pb2
from conveyor_contract.contract import shape_of
from conveyor_exporter.checks.candidate import Candidate, failed, passed
from conveyor_exporter.errors import RunError
from conveyor_exporter.onnx_graph import datatype_of, fixed_batch_reshapes, graph_inputs, shape_in_graph
from conveyor_exporter.session import runtime_version

_REMEDY = "use torch.flatten(x, 1), or x.shape[0] itself, wherever forward reshapes"


def declared_axes(candidate: Candidate) -> model_pb2.Check:
    """The graph's one input and one output have the declared name, type and shape, with a free batch axis."""
    inputs, outputs = graph_inputs(candidate.graph), list(candidate.graph.graph.output)
    if len(inputs) != 1 or len(outputs) != 1:
        return failed(
            f"the graph has {len(inputs)} inputs and {len(outputs)} outputs; one of each can be served with a contract."
        )
    rows_of_input = shape_in_graph(inputs[0])[:1]
    for spec, value in ((candidate.input, inputs[0]), (candidate.output, outputs[0])):
        fault = _axis_fault(spec, value, rows_of_input)
        if fault is not None:
            return failed(fault)
    return passed(
        f"{_words(candidate.input.name, candidate.input.datatype, shape_of(candidate.input))}, free batch axis"
    )


def _axis_fault(spec: model_pb2.TensorSpec, value: ValueInfoProto, rows_of_input: tuple[int | str, ...]) -> str | None:
    shape, declared = shape_in_graph(value), shape_of(spec)
    if shape and isinstance(shape[0], int):
        return f"{value.name!r} is fixed to a batch of {shape[0]}: {list(shape)}; export it with a free axis."
    if shape[:1] != rows_of_input == declared[:1]:
        return (
            f"{value.name!r} has rows of its own, {list(shape)}, not one for each row of the batch: forward leaves "
            "rows out or adds some; give one answer per row."
        )
    found = (value.name, datatype_of(value), shape)
    if found != (spec.name, spec.datatype, declared):
        wanted = _words(spec.name, spec.datatype, declared)
        return f"the graph has {_words(*found)} where {wanted} is declared; export it again."
    return None


def loads(candidate: Candidate) -> model_pb2.Check:
    """ONNX Runtime loads the file."""
    inputs = ", ".join(candidate.session.inputs)
    return passed(f"ONNX Runtime {runtime_version()} loads it on {candidate.provider}, to be fed with {inputs}")


def shapes(candidate: Candidate) -> model_pb2.Check:
    """A run at each batch size gives the declared shape: the only check that a lying graph cannot pass."""
    width = shape_of(candidate.output)[1:]
    for size in candidate.batch_sizes:
        try:
            answer = candidate.session.run(candidate.noise[:size])
        except RunError as error:
            return failed(f"a batch of {size} cannot be run{_baked_hint(candidate)}: {error}.", failing_batch_size=size)
        if answer.shape != (size, *width):
            return failed(
                f"a batch of {size} gives {list(answer.shape)}, expected {[size, *width]}{_baked_hint(candidate)}.",
                failing_batch_size=size,
            )
    sizes = ", ".join(str(size) for size in candidate.batch_sizes)
    return passed(f"declared = graph = run at batches {sizes}", max_batch_size=candidate.max_batch_size)


def runnable_sizes(candidate: Candidate) -> tuple[int, ...]:
    """The batch sizes at which the model can be run at all."""
    found = []
    for size in candidate.batch_sizes:
        with suppress(RunError):
            candidate.session.run(candidate.noise[:size])
            found.append(size)
    return tuple(found)


def labels(candidate: Candidate) -> model_pb2.Check | None:
    """There is one label for each output."""
    outputs = shape_of(candidate.output)[-1]
    if not candidate.labels:
        return None
    if not candidate.answers_probabilities:
        return passed(f"{outputs} values, no labels needed")
    duplicates = sorted({label for label in candidate.labels if candidate.labels.count(label) > 1})
    if len(candidate.labels) != outputs:
        return failed(
            f"there are {len(candidate.labels)} labels for {outputs} outputs; give one per output, in their order.",
            labels=len(candidate.labels),
        )
    if duplicates:
        return failed(f"the label {duplicates[0]!r} stands for several outputs; labels must differ.")
    return passed(f"{outputs} labels for {outputs} outputs", labels=len(candidate.labels))


def _words(name: str, datatype: str, shape: tuple[int | str, ...]) -> str:
    return f"{name} {datatype} [{', '.join(str(size) for size in shape)}]"


def _baked_hint(candidate: Candidate) -> str:
    reshapes = fixed_batch_reshapes(candidate.graph)
    return f" ({reshapes[0]} has a fixed batch size; {_REMEDY})" if reshapes else ""
