"""Making lower precisions from a proved fp32 file, and choosing what is published."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import onnx

from conveyor.v1 import model_pb2
from conveyor_exporter.checks.accuracy import ChangedLabel, changed_labels
from conveyor_exporter.checks.candidate import Candidate, Proof
from conveyor_exporter.checks.lower import LowerProof
from conveyor_exporter.checks.registry import check_lower
from conveyor_exporter.description import ExportOptions, ModelDescription
from conveyor_exporter.errors import ExportError
from conveyor_exporter.precision.fp16 import to_half
from conveyor_exporter.precision.gate import FP32, Comparison, Decision, Figures, best, decide
from conveyor_exporter.precision.int8 import quantise
from conveyor_exporter.precision.measure import side_by_side
from conveyor_exporter.session import CPU_PROVIDER, CUDA_PROVIDER, has_cuda

# Each precision is for one provider, and proved on it.
PROVIDERS = {"int8": CPU_PROVIDER, "fp16": CUDA_PROVIDER}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A candidate with all that was found about it; it may be published when every check is ok."""

    candidate: Candidate
    golden: model_pb2.GoldenSamples
    checks: tuple[model_pb2.Check, ...]
    changed_labels: tuple[ChangedLabel, ...] = ()
    unproved: bool = False


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is to be published, and the table that it was chosen from; empty where only fp32 was asked for."""

    outcome: Outcome
    comparisons: tuple[Comparison, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """A lower precision that was tried, with fp32's figures from the same minutes on the same provider."""

    outcome: Outcome
    fp32: Figures
    lower: Figures
    decision: Decision


def hindrance(precision: str, description: ModelDescription, options: ExportOptions) -> str | None:
    """Why a precision cannot be tried here, in a sentence; None when it can."""
    if precision not in PROVIDERS:
        return None
    unproved = precision == "fp16" and options.unproved
    if precision == "fp16" and not has_cuda() and not unproved:
        return (
            "fp16 is for CUDA, which the ONNX Runtime installed here lacks: not proved here; export where CUDA is, "
            "or add --unproved to write it marked so."
        )
    if precision == "int8" and description.training is None:
        return "int8 is calibrated on rows of the training data, and there are none; export a run, or give --data."
    if description.test is None and not unproved:
        return f"{precision} is judged by its accuracy, and there are no test rows; export a run, or give --data."
    return None


def choose(proof: Proof, checks: Sequence[model_pb2.Check], options: ExportOptions) -> Choice:
    """What to publish of a network whose fp32 file has passed `checks`: what was asked for, or for "auto" the best.

    A precision that was asked for and does not pay comes back with a failed check. Raises ExportError when it
    cannot be tried at all.
    """
    fp32 = Outcome(candidate=proof.candidate, golden=proof.golden, checks=tuple(checks))
    if options.precision == FP32:
        return Choice(outcome=fp32)
    if options.precision != "auto":
        trial = _try(proof, checks, options.precision, options)
        return Choice(outcome=trial.outcome, comparisons=(_fp32_line(trial), _line(trial)))
    trials: list[_Trial] = []
    lines: list[Comparison] = []
    for precision in PROVIDERS:
        reason = hindrance(precision, proof.reference.description, options)
        try:
            if reason is None:
                trials.append(_try(proof, checks, precision, options))
                lines += [_fp32_line(trials[-1]), _line(trials[-1])]
        except ExportError as error:
            reason = str(error)
        if reason is not None:
            lines.append(Comparison(precision=precision, figures=None, decision=Decision(kept=False, reason=reason)))
    chosen = best([(line.figures, line.decision) for line in lines if line.figures]) if trials else None
    outcome = next((trial.outcome for trial in trials if trial.lower is chosen), fp32)
    return Choice(outcome=outcome, comparisons=tuple(lines))


def _try(proof: Proof, checks: Sequence[model_pb2.Check], precision: str, options: ExportOptions) -> _Trial:
    options.on_step(f"converting to {precision}")
    is_unproved = not (PROVIDERS[precision] == CPU_PROVIDER or has_cuda())
    model = _convert(proof, precision)
    candidate = replace(
        proof.candidate,
        graph=onnx.load_from_string(model),
        source=model,
        precision=precision,
        provider=CPU_PROVIDER if is_unproved else PROVIDERS[precision],
    )
    lower = LowerProof(
        candidate=candidate,
        layer_outputs={},
        reference=proof.reference,
        test=proof.test,
        golden_rows=proof.golden_rows,
        source=proof,
        source_checks=checks,
    )
    found = tuple(check_lower(lower, options.on_step))
    fp32_figures, figures = _measure(lower, is_unproved, options)
    decision = decide(fp32_figures, figures, options.limits)
    failures = [check for check in found if not check.ok]
    if failures:
        decision = replace(decision, kept=False, reason=f"fails {failures[0].name}: {failures[0].detail}")
    outcome = Outcome(
        candidate=replace(candidate, provider=PROVIDERS[precision]),
        golden=lower.golden,
        checks=(*found, _verdict(fp32_figures, figures, decision, options)),
        changed_labels=changed_labels(lower),
        unproved=is_unproved,
    )
    return _Trial(outcome=outcome, fp32=fp32_figures, lower=figures, decision=decision)


def _convert(proof: Proof, precision: str) -> bytes:
    if precision == "fp16":
        return to_half(proof.candidate.model)
    training = proof.reference.description.training
    assert training is not None  # else it was refused
    return quantise(proof.candidate.model, proof.candidate.input.name, training)


def _measure(lower: LowerProof, is_unproved: bool, options: ExportOptions) -> tuple[Figures, Figures]:
    """Of fp32 and of the lower precision; no speed where there is no provider to measure it on."""
    precision = lower.candidate.precision
    options.on_step(f"measuring {precision} beside fp32")
    source = replace(lower.source.candidate, provider=lower.candidate.provider)
    p50: dict[str, dict[int, float]] = {FP32: {}, precision: {}}
    if not is_unproved:
        rows = lower.candidate.noise if lower.real_rows is None else lower.real_rows
        sessions = {FP32: source.session, precision: lower.candidate.session}
        p50 = side_by_side(sessions, rows, options.buckets, options.measure_seconds)
    fp32_figures = Figures(
        precision=FP32,
        provider=PROVIDERS[precision],
        score=lower.fp32_score,
        agreement=1.0,
        p50_ms=p50[FP32],
        file_bytes=len(source.model),
    )
    figures = Figures(
        precision=precision,
        provider=PROVIDERS[precision],
        score=lower.score,
        agreement=lower.agreement,
        p50_ms=p50[precision],
        file_bytes=len(lower.candidate.model),
    )
    return fp32_figures, figures


def _verdict(fp32: Figures, lower: Figures, decision: Decision, options: ExportOptions) -> model_pb2.Check:
    """The gate's decision as a check: without timings where it is kept, since it then stands in the file."""
    rule = f"limits: {options.limits.max_drop:g} points, {options.limits.min_agreement:.0%} of the labels"
    speed = "faster than fp32 at every batch size" if lower.p50_ms else "speed not measured: no CUDA here"
    kept = f"loses {max(decision.drop, 0):.2f} points of {fp32.score:.2f}, keeps {lower.agreement:.2%} of the labels"
    return model_pb2.Check(
        name="pays",
        ok=decision.kept,
        detail=f"{kept} ({rule}), {speed}" if decision.kept else f"{lower.precision} {decision.reason}.",
        figures={
            "fp32_score": fp32.score,
            "score": lower.score,
            "drop": decision.drop,
            "max_drop": options.limits.max_drop,
            "agreement": lower.agreement,
            "min_agreement": options.limits.min_agreement,
        },
    )


def _fp32_line(trial: _Trial) -> Comparison:
    return Comparison(precision=FP32, figures=trial.fp32, decision=Decision(kept=True, reason="proved", speedup=1.0))


def _line(trial: _Trial) -> Comparison:
    return Comparison(precision=trial.lower.precision, figures=trial.lower, decision=trial.decision)
