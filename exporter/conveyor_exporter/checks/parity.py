"""Checks that the file answers as its network does in PyTorch, at every batch size, on noise and on real rows."""

import numpy as np
from numpy.typing import NDArray

from conveyor.v1 import model_pb2
from conveyor_contract.golden import compare
from conveyor_exporter.checks.candidate import Proof, failed, first_rows, passed
from conveyor_exporter.checks.localise import first_differing_layer
from conveyor_exporter.model_input import Rows
from conveyor_exporter.onnx_graph import with_outputs
from conveyor_exporter.session import Session
from conveyor_exporter.tolerances import proof_tolerance


def reference_determinism(proof: Proof) -> model_pb2.Check:
    """The network itself, in eval mode, gives the same rows the same answers again."""
    rows = proof.candidate.noise
    first, second = proof.reference.raw_answers(rows), proof.reference.raw_answers(rows)
    difference = compare(second, first, proof_tolerance(first))
    if not difference.ok:
        return failed(
            f"{proof.reference.name} itself gave the same rows answers {difference.max_absolute:.2e} apart; the "
            "network keeps state from call to call or draws random numbers: do so in training only.",
            max_difference=difference.max_absolute,
        )
    return passed(f"{proof.reference.name} twice within {difference.max_absolute:.1e}")


def parity_noise(proof: Proof) -> model_pb2.Check:
    """PyTorch and ONNX Runtime agree on noise at each batch size."""
    return _parity(proof, proof.candidate.noise, "noise")


def parity_real(proof: Proof) -> model_pb2.Check | None:
    """PyTorch and ONNX Runtime agree on real rows at each batch size."""
    return None if proof.real_rows is None else _parity(proof, proof.real_rows, "real rows")


def parity_logits(proof: Proof) -> model_pb2.Check | None:
    """They agree before the softmax too, where a saturated probability hides nothing."""
    logits = _logits_name(proof)
    if logits is None:
        return None
    rows = proof.candidate.noise if proof.real_rows is None else proof.real_rows
    rows = first_rows(rows, proof.candidate.max_batch_size)
    reference = proof.reference.raw_answers(rows)
    answer = Session(with_outputs(proof.candidate.graph, [logits])).run_all(rows)[logits]
    difference = compare(answer, reference, proof_tolerance(reference))
    figures = {"max_difference": difference.max_absolute, "largest_logit": float(np.abs(reference).max())}
    if not difference.ok:
        return failed(f"logits lie {difference.max_absolute:.2e} apart{_where(proof, rows)}.", **figures)
    return passed(
        f"logits within {difference.max_absolute:.1e} of sizes up to {figures['largest_logit']:.3g}", **figures
    )


def _parity(proof: Proof, rows: Rows, kind: str) -> model_pb2.Check:
    distances: list[NDArray[np.float64]] = []
    for size in proof.candidate.batch_sizes:
        batch = first_rows(rows, size)
        reference = proof.reference.answers(batch)
        answer = proof.candidate.session.run(batch)
        difference = compare(answer, reference, proof_tolerance(reference))
        if not difference.ok:
            return failed(
                f"on {kind}, a batch of {size} lies {difference.max_absolute:.2e} from "
                f"{proof.reference.name}{_where(proof, batch)}.",
                max_difference=difference.max_absolute,
                failing_batch_size=size,
            )
        distances.append(np.abs(answer.astype(np.float64) - reference).reshape(-1))
    every = np.concatenate(distances)
    return passed(
        f"on {kind} within {every.max():.1e} at every batch size",
        max_difference=float(every.max()),
        mean_difference=float(every.mean()),
        p99_difference=float(np.quantile(every, 0.99)),
    )


def _logits_name(proof: Proof) -> str | None:
    """The value that the final softmax is fed with, where export has added that softmax."""
    if not proof.reference.description.adds_softmax:
        return None
    last = proof.candidate.graph.graph.node[-1]
    return last.input[0] if last.op_type == "Softmax" else None


def _where(proof: Proof, rows: Rows) -> str:
    layer = first_differing_layer(proof, rows)
    return (
        f"; the first layer that differs is {layer}"
        if layer
        else "; no single layer differs first: look at the input's normalisation"
    )
