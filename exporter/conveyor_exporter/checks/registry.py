"""All checks, in the order in which they run: causes before their consequences."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from conveyor.v1 import model_pb2
from conveyor_exporter.checks import accuracy, axes, behaviour, file, parity, samples
from conveyor_exporter.checks.candidate import Candidate, Proof, failed
from conveyor_exporter.errors import RunError
from conveyor_exporter.model_input import ImageInput

Subject = TypeVar("Subject", Candidate, Proof)


def golden_samples(proof: Proof) -> model_pb2.Check:
    """The golden samples that go into the file are answered rightly."""
    given = proof.reference.description.input
    preprocessor = given.preprocessor if isinstance(given, ImageInput) else None
    return samples.replay(proof.candidate.session, proof.golden, preprocessor, "fp32")


# Of any model file.
FILE_CHECKS: tuple[Callable[[Candidate], model_pb2.Check | None], ...] = (
    file.opset,
    file.ir_version,
    file.single_file,
    file.no_paths,
    file.train_mode,
    file.randomness,
    file.single_softmax,
    axes.declared_axes,
    axes.shapes,
    axes.labels,
    behaviour.finite,
    behaviour.probabilities,
    behaviour.determinism,
    behaviour.batch_invariance,
)

# Of a model file beside the network that it came from. A check answers None where it has nothing to look at.
PROOF_CHECKS: tuple[Callable[[Proof], model_pb2.Check | None], ...] = (
    parity.parity_noise,
    parity.parity_logits,
    parity.parity_real,
    accuracy.agreement,
    accuracy.accuracy,
    accuracy.mean_error,
    golden_samples,
)


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
