"""All checks, in the order in which they run: causes before their consequences."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from conveyor.v1 import model_pb2
from conveyor_exporter.checks import accuracy, axes, behaviour, file, layers, lower, parity, samples
from conveyor_exporter.checks.candidate import Candidate, Proof, failed
from conveyor_exporter.checks.lower import LowerProof
from conveyor_exporter.errors import RunError

Subject = TypeVar("Subject", Candidate, Proof, LowerProof)


def golden_samples(proof: Proof | LowerProof) -> model_pb2.Check:
    """The golden samples that go into the file are answered rightly."""
    return samples.replay(proof.candidate, proof.golden, proof.reference.description.preprocessor)


# Of any model file, read only.
STATIC_CHECKS: tuple[Callable[[Candidate], model_pb2.Check | None], ...] = (
    file.opset,
    file.ir_version,
    file.single_file,
    file.no_paths,
    file.train_mode,
    file.randomness,
    file.single_softmax,
    axes.declared_axes,
    axes.labels,
    axes.loads,  # the last: a model that does not load is not run
)

# Of any model file, run on noise; the shapes come first, and what follows runs at the batch sizes that they allow.
RUN_CHECKS: tuple[Callable[[Candidate], model_pb2.Check | None], ...] = (
    behaviour.finite,
    behaviour.probabilities,
    behaviour.determinism,
    behaviour.batch_invariance,
)

# Of a model file beside the network that it came from. A check answers None where it has nothing to look at.
PROOF_CHECKS: tuple[Callable[[Proof], model_pb2.Check | None], ...] = (
    parity.reference_determinism,
    layers.layer_shapes,
    parity.parity_noise,
    parity.parity_logits,
    parity.parity_real,
    accuracy.agreement,
    accuracy.accuracy,
    accuracy.mean_error,
    golden_samples,
)


# Of a lower precision beside the fp32 file that it was made from.
LOWER_CHECKS: tuple[Callable[[LowerProof], model_pb2.Check | None], ...] = (
    lower.fp32_source,
    golden_samples,
)


def check_candidate(candidate: Candidate, on_step: Callable[[str], None]) -> Iterator[model_pb2.Check]:
    """The verdicts on any model file; it is not run when it does not even load."""
    verdicts = list(run_checks(STATIC_CHECKS, candidate, on_step))
    yield from verdicts
    if not verdicts[-1].ok:
        return
    (shapes,) = run_checks((axes.shapes,), candidate, on_step)
    yield shapes
    runnable = candidate if shapes.ok else replace(candidate, batch_sizes=axes.runnable_sizes(candidate))
    if runnable.batch_sizes:
        yield from run_checks(RUN_CHECKS, runnable, on_step)


def check_proof(proof: Proof, on_step: Callable[[str], None]) -> Iterator[model_pb2.Check]:
    """The verdicts on an exported file beside its network."""
    yield from check_candidate(proof.candidate, on_step)
    yield from run_checks(PROOF_CHECKS, proof, on_step)


def check_lower(proof: LowerProof, on_step: Callable[[str], None]) -> Iterator[model_pb2.Check]:
    """The verdicts on a lower precision, beside the fp32 file that it was made from."""
    yield from check_candidate(proof.candidate, on_step)
    yield from run_checks(LOWER_CHECKS, proof, on_step)


def run_checks(
    checks: Sequence[Callable[[Subject], model_pb2.Check | None]], subject: Subject, on_step: Callable[[str], None]
) -> Iterator[model_pb2.Check]:
    """Runs each check; its name is its function's. A model that cannot be run fails the check that tried."""
    for check in checks:
        name = check.__name__
        on_step(f"checking {name.replace('_', ' ')}")
        try:
            verdict = check(subject)
        except RunError as error:
            verdict = failed(f"{error}.")
        if verdict is not None:
            verdict.name = name
            yield verdict
