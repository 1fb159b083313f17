"""Which layer of a network is the first whose values in the graph differ from PyTorch's."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from conveyor_contract.golden import compare
from conveyor_exporter.checks.candidate import Proof
from conveyor_exporter.errors import RunError
from conveyor_exporter.model_input import Rows
from conveyor_exporter.onnx_graph import with_outputs
from conveyor_exporter.session import Session
from conveyor_exporter.tolerances import proof_tolerance


def first_differing_layer(proof: Proof, rows: Rows) -> str | None:
    """ "path (Class)", or None when every layer that can be compared agrees."""
    ours = proof.reference.layer_answers(rows)
    try:
        theirs = graph_answers(proof, rows)
    except RunError:  # a graph so broken that it runs in no other form
        return None
    for path, (kind, answer) in ours.items():
        if path in theirs and _differs(theirs[path], answer):
            return f"{path} ({kind})"
    return None


def graph_answers(proof: Proof, rows: Rows) -> dict[str, NDArray[Any]]:
    """Module path -> its value in the graph, for the modules that the exporter has not merged with others."""
    values = proof.layer_outputs
    found = Session(with_outputs(proof.candidate.graph, sorted(set(values.values())))).run_all(rows)
    return {path: found[value] for path, value in values.items() if value in found}


def _differs(theirs: NDArray[Any], ours: NDArray[np.float32]) -> bool:
    # A layer that the exporter has merged with the next, as a folded batch norm, has no value of its own to compare.
    if theirs.shape != ours.shape:
        return False
    return not compare(theirs, ours, proof_tolerance(ours)).ok
