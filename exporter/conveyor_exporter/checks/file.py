"""Checks that read the graph without running it."""

from onnx import NodeProto, TensorProto, helper, numpy_helper

from conveyor.v1 import model_pb2
from conveyor_exporter.checks.candidate import Candidate, failed, passed
from conveyor_exporter.onnx_graph import constant_values, nodes_in, opset_of, paths_in, tensors_in

# What the oldest supported runtime, onnxruntime 1.20, reads.
OLDEST_OPSET, NEWEST_OPSET = 7, 21
NEWEST_IR_VERSION = 10

_RANDOM_OPERATORS = frozenset(
    ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial")
)
# Operators that change a tensor's form and not its numbers.
_FORM_ONLY = frozenset(("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast"))


def opset(candidate: Candidate) -> model_pb2.Check:
    """The operator set is the one asked for, and one that the oldest supported runtime reads."""
    found = opset_of(candidate.graph)
    if candidate.opset is not None and found != candidate.opset:
        return failed(f"asked for opset {candidate.opset}, the file has {found}; ask for 18 to 21.", opset=found)
    if not OLDEST_OPSET <= found <= NEWEST_OPSET:
        return failed(
            f"opset {found} is outside {OLDEST_OPSET} to {NEWEST_OPSET}, which onnxruntime 1.20 and later read; "
            "export with opset 18.",
            opset=found,
        )
    return passed(f"opset {found}", opset=found)


def ir_version(candidate: Candidate) -> model_pb2.Check:
    """The file format's version is one that the oldest supported runtime reads."""
    found = candidate.graph.ir_version
    if found > NEWEST_IR_VERSION:
        return failed(
            f"IR version {found} is above {NEWEST_IR_VERSION}, the newest that onnxruntime 1.20 reads; "
            f"save the model with ir_version {NEWEST_IR_VERSION}.",
            ir_version=found,
        )
    return passed(f"IR version {found}", ir_version=found)


def single_file(candidate: Candidate) -> model_pb2.Check:
    """No weights stand in a second file."""
    outside = [tensor for tensor in tensors_in(candidate.graph) if tensor.data_location == TensorProto.EXTERNAL]
    if outside:
        return failed(
            f"{len(outside)} tensors, {outside[0].name!r} first, lie in another file that is easily lost; "
            "save with external_data=False.",
            external_tensors=len(outside),
        )
    return passed("all weights are inside")


def no_paths(candidate: Candidate) -> model_pb2.Check:
    """No file path of the exporting machine stands in the file."""
    found = paths_in(candidate.graph)
    if found:
        return failed(f"the file tells of {len(found)} paths, as {found[0]}; strip names, notes and metadata.")
    return passed("no file path in names, notes or metadata")


def train_mode(candidate: Candidate) -> model_pb2.Check:
    """No layer behaves as in training."""
    constants = constant_values(candidate.graph)
    found = [node for node in nodes_in(candidate.graph) if _is_training(node, constants)]
    if found:
        return failed(
            f"{found[0].op_type} {found[0].name!r} is still in training mode; call eval(), and in forward pass "
            "training=self.training to functional dropout and batch_norm.",
            nodes=len(found),
        )
    return passed("no dropout and no batch statistics are left")


def randomness(candidate: Candidate) -> model_pb2.Check:
    """No operator draws random numbers."""
    found = [node for node in nodes_in(candidate.graph) if node.op_type in _RANDOM_OPERATORS]
    if found:
        return failed(
            f"{found[0].op_type} {found[0].name!r} draws random numbers at every run; draw them in training only.",
            nodes=len(found),
        )
    return passed("no operator draws random numbers")


def single_softmax(candidate: Candidate) -> model_pb2.Check:
    """Probabilities went through one softmax, not two."""
    makers = {output: node for node in candidate.graph.graph.node for output in node.output}
    value = candidate.output.name
    chain: list[str] = []
    while (node := makers.get(value)) is not None and node.op_type in _FORM_ONLY | {"Softmax"}:
        chain += [node.name or node.output[0]] if node.op_type == "Softmax" else []
        value = node.input[0]
    if len(chain) > 1:
        return failed(
            f"the answers go through softmax {len(chain)} times ({', '.join(reversed(chain))}), which flattens them; "
            "let the network give logits, or say that it gives probabilities (--output probabilities).",
            softmax_nodes=len(chain),
        )
    return passed(f"{len(chain)} softmax at the end", softmax_nodes=len(chain))


def _is_training(node: NodeProto, constants: dict[str, TensorProto]) -> bool:
    if node.op_type == "BatchNormalization":
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        return bool(attributes.get("training_mode", 0))
    # Dropout's third input switches training on; absent means off.
    if node.op_type != "Dropout" or len(node.input) < 3 or not node.input[2]:
        return False
    switch = constants.get(node.input[2])
    return switch is None or bool(numpy_helper.to_array(switch).any())
