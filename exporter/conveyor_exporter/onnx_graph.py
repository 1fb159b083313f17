"""Reading and cleaning ONNX graphs: all nodes and tensors, whatever they are nested in; traces of a machine."""

import re
from collections.abc import Iterator

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, numpy_helper

# Where people's and build machines' files lie, and anything that ends in a source file's name.
_PATH = re.compile(
    r"(?:/(?:home|root|Users|tmp|var|opt|usr|mnt|srv|workspace)/[^\s\"',;:]+)"
    r"|(?:[A-Za-z]:\\[^\s\"',;]+)"
    r"|(?:/?(?:[^\s\"',;:/]+/)+[^\s\"',;:/]+\.(?:py|ipynb|pyc|so)\b)"
)

_DATATYPES: dict[int, str] = {
    TensorProto.UINT8: "UINT8",
    TensorProto.INT8: "INT8",
    TensorProto.INT32: "INT32",
    TensorProto.INT64: "INT64",
    TensorProto.FLOAT16: "FP16",
    TensorProto.FLOAT: "FP32",
    TensorProto.DOUBLE: "FP64",
}


def graphs_in(model: ModelProto) -> Iterator[GraphProto]:
    """The main graph and every graph nested in a node's attributes."""
    waiting = [model.graph]
    while waiting:
        graph = waiting.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.type == AttributeProto.GRAPH:
                    waiting.append(attribute.g)
                waiting.extend(attribute.graphs)


def nodes_in(model: ModelProto) -> Iterator[NodeProto]:
    """Every node of every graph and function."""
    for graph in graphs_in(model):
        yield from graph.node
    for function in model.functions:
        yield from function.node


def tensors_in(model: ModelProto) -> Iterator[TensorProto]:
    """Every initializer and constant."""
    for graph in graphs_in(model):
        yield from graph.initializer
    for node in nodes_in(model):
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                yield attribute.t


def graph_inputs(model: ModelProto) -> list[ValueInfoProto]:
    """The inputs that a caller feeds; old files list their weights as inputs too."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def shape_in_graph(value: ValueInfoProto) -> tuple[int | str, ...]:
    """A value's shape as the graph declares it; an axis that it says nothing of is "?"."""
    return tuple(
        dimension.dim_value if dimension.WhichOneof("value") == "dim_value" else dimension.dim_param or "?"
        for dimension in value.type.tensor_type.shape.dim
    )


def datatype_of(value: ValueInfoProto) -> str:
    """A value's type in the Open Inference Protocol's words; "" for one that cannot be served."""
    return _DATATYPES.get(value.type.tensor_type.elem_type, "")


def opset_of(model: ModelProto) -> int:
    """The version of ONNX's own operators; 0 when the file states none."""
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def constant_values(model: ModelProto) -> dict[str, TensorProto]:
    """Name of a value -> the constant it is, for initializers and Constant nodes."""
    found = {tensor.name: tensor for graph in graphs_in(model) for tensor in graph.initializer}
    for node in nodes_in(model):
        if node.op_type == "Constant":
            found.update((node.output[0], attribute.t) for attribute in node.attribute if attribute.name == "value")
    return found


def fixed_batch_reshapes(model: ModelProto) -> list[str]:
    """Reshape nodes whose first size is a number: the usual place where a batch size was baked in."""
    constants = constant_values(model)
    found = []
    for node in nodes_in(model):
        if node.op_type in ("Reshape", "Expand") and len(node.input) > 1 and node.input[1] in constants:
            sizes = numpy_helper.to_array(constants[node.input[1]]).reshape(-1)
            if len(sizes) and sizes[0] > 0:
                found.append(f"{node.op_type} {node.name or node.output[0]!r} to {sizes.tolist()}")
    return found


def paths_in(model: ModelProto) -> list[str]:
    """File paths left in names, notes and metadata; weights are not searched."""
    return sorted({match.group(0) for text in _texts_in(model) for match in _PATH.finditer(text)})


def _texts_in(model: ModelProto) -> Iterator[str]:
    yield from (model.producer_name, model.producer_version, model.domain, model.doc_string)
    yield from (entry.value for entry in model.metadata_props if not entry.key.startswith("conveyor."))
    for graph in graphs_in(model):
        yield graph.doc_string
        yield from (entry.value for entry in graph.metadata_props)
        for value in (*graph.input, *graph.output, *graph.value_info):
            yield value.doc_string
            yield from (entry.value for entry in value.metadata_props)
    for node in nodes_in(model):
        yield from (node.name, node.doc_string)
        yield from (entry.value for entry in node.metadata_props)
    for tensor in tensors_in(model):
        yield from (tensor.name, tensor.doc_string)
        yield from (entry.value for entry in tensor.external_data)


def strip_machine_traces(model: ModelProto) -> None:
    """Removes notes, source lines and the build's own version suffix: equal weights then give equal bytes.

    Inferred shapes of inner values go too; quantisation tools stumble over stale ones, and runtimes infer their own.
    """
    model.producer_version = model.producer_version.partition("+")[0]
    model.doc_string = ""
    del model.metadata_props[:]
    for function in model.functions:
        function.doc_string = ""
        del function.metadata_props[:]
        del function.value_info[:]
    for graph in graphs_in(model):
        graph.doc_string = ""
        del graph.metadata_props[:]
        del graph.value_info[:]
        for value in (*graph.input, *graph.output):
            value.doc_string = ""
            del value.metadata_props[:]
    for node in nodes_in(model):
        node.doc_string = ""
        del node.metadata_props[:]
    for tensor in tensors_in(model):
        tensor.doc_string = ""
        del tensor.metadata_props[:]


def with_outputs(model: ModelProto, names: list[str]) -> bytes:
    """A serialized copy of the model that also gives the named inner values."""
    widened = ModelProto()
    widened.CopyFrom(model)
    present = {output.name for output in widened.graph.output}
    widened.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in present)
    return widened.SerializeToString()
