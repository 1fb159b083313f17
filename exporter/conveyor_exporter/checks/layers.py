"""The layer table: arithmetic, PyTorch and the graph give each layer the same shape."""

from conveyor.v1 import model_pb2
from conveyor_exporter.checks.candidate import Proof, failed, passed
from conveyor_exporter.checks.localise import graph_answers


def layer_shapes(proof: Proof) -> model_pb2.Check | None:
    """Each layer's shape by arithmetic is what PyTorch's module and the graph's value have."""
    expected = proof.reference.description.layers
    if not expected:
        return None
    rows = proof.candidate.noise[:1]
    pytorch = {path: answer.shape[1:] for path, (_, answer) in proof.reference.layer_answers(rows).items()}
    graph = {path: answer.shape[1:] for path, answer in graph_answers(proof, rows).items()}
    for layer in expected:
        for where, shapes in (("PyTorch", pytorch), ("the graph", graph)):
            if layer.path in shapes and shapes[layer.path] != layer.shape:
                return failed(
                    f"layer {layer.path} should give {list(layer.shape)}, {where} gives {list(shapes[layer.path])}; "
                    "the weights belong to another architecture, or it was changed after training."
                )
    compared = sum(layer.path in pytorch for layer in expected)
    in_graph = sum(layer.path in graph for layer in expected)
    return passed(
        f"{compared} of {len(expected)} layers compared with PyTorch, {in_graph} with the graph",
        layers=len(expected),
        pytorch=compared,
        graph=in_graph,
    )
