"""Whether a lower precision pays. Arithmetic on measured figures only: nothing is measured or run here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any, Final

FP32: Final = "fp32"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When a lower precision is kept: speed in times of fp32's, above `min_speedup_at_each` at every batch size."""

    max_drop: float = 0.2  # points: percent of right answers, or of R squared for values
    min_agreement: float = 0.98  # share of test rows that keep fp32 PyTorch's label
    min_speedup: float = 1.1  # on the whole: geometric mean over the batch sizes
    min_speedup_at_each: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What was measured of one precision on one provider.

    `score` in percent: accuracy, or R squared for values. `agreement` is the share (0 to 1) of test rows with
    PyTorch's label, 1 for values. `p50_ms` is by batch size in rows; empty where no speed was measured.
    """

    precision: str
    provider: str
    score: float
    agreement: float
    p50_ms: Mapping[int, float]
    file_bytes: int

    @property
    def rows_per_second(self) -> float:
        """At the batch size where it is highest; 0 where no speed was measured."""
        return max((1000 * size / milliseconds for size, milliseconds in self.p50_ms.items()), default=0.0)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Kept or not, and why, with the figures. `speedup` is the geometric mean over the batch sizes; 0: not measured."""

    kept: bool
    reason: str
    drop: float = 0.0  # points; negative where the lower precision is better
    speedup: float = 0.0


def decide(fp32: Figures, lower: Figures, limits: Limits) -> Decision:
    """Compares figures that were measured side by side, on one provider and at the same batch sizes. Figures without
    speed are judged by their answers alone."""
    drop = fp32.score - lower.score
    speedups = {size: fp32.p50_ms[size] / lower.p50_ms[size] for size in fp32.p50_ms}
    overall = geometric_mean(list(speedups.values())) if speedups else 0.0
    slower = [size for size, speedup in speedups.items() if speedup <= limits.min_speedup_at_each]
    faults = []
    if drop > limits.max_drop + 1e-9:
        faults.append(f"loses {drop:.2f} points of {fp32.score:.2f}, over the limit of {limits.max_drop:g}")
    if lower.agreement < limits.min_agreement:
        faults.append(f"keeps {lower.agreement:.2%} of the labels, under the limit of {limits.min_agreement:.0%}")
    if slower:
        at = ", ".join(f"{speedups[size]:.2f} at batch {size}" for size in slower)
        faults.append(f"is not faster at every batch size (times as fast as fp32: {at})")
    elif speedups and overall < limits.min_speedup:
        faults.append(f"is {overall:.2f} times as fast as fp32 on the whole, under the limit of {limits.min_speedup:g}")
    speed = f"{overall:.2f} times as fast as fp32" if speedups else "speed not measured"
    verdict = f"{speed}, {_drop_in_words(drop)}, {lower.agreement:.2%} of the labels kept"
    return Decision(kept=not faults, reason="; ".join(faults) or verdict, drop=drop, speedup=overall)


def best(rows: Sequence[tuple[Figures, Decision]]) -> Figures:
    """The kept figures with the most rows a second."""
    return max((figures for figures, decision in rows if decision.kept), key=lambda figures: figures.rows_per_second)


def geometric_mean(values: Sequence[float]) -> float:
    """Of positive numbers, one at least."""
    return exp(sum(log(value) for value in values) / len(values))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One line of the table: figures, None where a precision could not even be tried, and what was decided."""

    precision: str
    figures: Figures | None
    decision: Decision

    def to_dict(self) -> dict[str, Any]:
        """As it stands in report.json."""
        shown: dict[str, Any] = {
            "precision": self.precision,
            "kept": self.decision.kept,
            "reason": self.decision.reason,
        }
        if self.figures is None:
            return shown
        return shown | {
            "provider": self.figures.provider,
            "score": self.figures.score,
            "drop": self.decision.drop,
            "agreement": self.figures.agreement,
            "p50_ms": {str(size): round(ms, 4) for size, ms in self.figures.p50_ms.items()},
            "speedup": round(self.decision.speedup, 3),
            "rows_per_second": round(self.figures.rows_per_second, 1),
            "file_bytes": self.figures.file_bytes,
        }


def _drop_in_words(drop: float) -> str:
    return "no points lost" if drop <= 0 else f"{drop:.2f} points lost"
