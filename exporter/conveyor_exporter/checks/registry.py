"""All checks, in the order in which they run: causes before their consequences."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from conveyor.v1 import model_pb2
from conveyor_exporter.checks import accuracy, axes, behaviour, file, layers, parity, samples
from conveyor_exporter.checks.candidate import Candidate, Proof, failed
from conveyor_exporter.errors import RunError
from conveyor_exporter.model_input import ImageInput

Subject = TypeVar("Subject", Candidate, Proof)


def golden_samples(proof: Proof) -> model_pb2.Check:
    """The golden samples that go into the file are answered rightly."""
    given = proof.reference.description.input
    preprocessor = given.preprocessor if isinstance(given, ImageInput) else None
    return samples.replay(proof.candidate.session, proof.golden, preprocessor, "fp32")


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
    axes.loads,
)

# Of any model file, run on noise.
RUN_CHECKS: tuple[Callable[[Candidate], model_pb2.Check | None], ...] = (
    axes.shapes,
    behaviour.finite,
    behaviour.probabilities,
    behaviour.determinism,
    behaviour.batch_invariance,
)

# Of a model file beside the network that it came from. A check answers None where it has nothing to look at.
PROOF_CHECKS: tuple[Callable[[Proof], model_pb2.Check | None], ...] = (
    layers.layer_shapes,
    parity.parity_noise,
    parity.parity_logits,
    parity.parity_real,
    accuracy.agreement,
    accuracy.accuracy,
    accuracy.mean_error,
    golden_samples,
)


def check_candidate(candidate: Candidate, on_step: Callable[[str], None]) -> Iterator[model_pb2.Check]:
    """The verdicts on any model file; it is not run when it does not even load."""
    loaded = True
    for verdict in run_checks(STATIC_CHECKS, candidate, on_step):
        loaded = verdict.ok or verdict.name != axes.loads.__name__
        yield verdict
    if loaded:
        yield from run_checks(RUN_CHECKS, candidate, on_step)


def check_proof(proof: Proof, on_step: Callable[[str], None]) -> Iterator[model_pb2.Check]:
    """The verdicts on an exported file beside its network."""
    yield from check_candidate(proof.candidate, on_step)
    yield from run_checks(PROOF_CHECKS, proof, on_step)


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
