"""The gate's decision on figures that are passed in: what pays is kept, what does not is refused with the figures."""

from dataclasses import replace

import pytest

from conveyor_exporter.comparison_table import comparison_lines
from conveyor_exporter.precision.gate import Comparison, Decision, Figures, Limits, best, decide

BUCKETS = (1, 2, 4, 8, 16, 32)
LIMITS = Limits()


def figures(precision: str = "int8", speedup: float | dict[int, float] = 1.0, **changes: float) -> Figures:
    """fp32 takes 0.1 ms a row; another precision is `speedup` times as fast, at every batch size or by batch size."""
    by_size = speedup if isinstance(speedup, dict) else dict.fromkeys(BUCKETS, speedup)
    values = {"score": 99.1, "agreement": 1.0, "file_bytes": 1000, **changes}
    return Figures(
        precision=precision,
        provider="CPUExecutionProvider",
        p50_ms={size: 0.1 * size / by_size.get(size, 1.0) for size in BUCKETS},
        **values,  # type: ignore[arg-type]  # numbers all
    )


FP32 = figures("fp32")


def test_what_pays_is_kept() -> None:
    decision = decide(FP32, figures(speedup=1.8, score=99.0, agreement=0.995), LIMITS)
    assert decision.kept
    assert decision.drop == pytest.approx(0.1)
    assert decision.speedup == pytest.approx(1.8)
    assert "1.80 times as fast as fp32, 0.10 points lost, 99.50% of the labels kept" in decision.reason


@pytest.mark.parametrize(
    ("lower", "words"),
    [
        (figures(speedup=1.8, score=98.8), "loses 0.30 points of 99.10, over the limit of 0.2"),
        (figures(speedup=1.8, agreement=0.97), "keeps 97.00% of the labels"),
        (figures(speedup=0.7), "0.70 at batch 1, 0.70 at batch 2"),
        (figures(speedup=dict.fromkeys(BUCKETS, 2.0) | {1: 0.9}), "0.90 at batch 1)"),
        (figures(speedup=1.0), "not faster at every batch size"),
        (figures(speedup=1.05), "1.05 times as fast as fp32 on the whole, under the limit of 1.1"),
    ],
    ids=["drop", "agreement", "slower", "slower at one size", "equal", "hardly faster"],
)
def test_what_does_not_pay_is_refused_with_the_figures(lower: Figures, words: str) -> None:
    decision = decide(FP32, lower, LIMITS)
    assert not decision.kept
    assert words in decision.reason


def test_every_fault_is_named() -> None:
    reason = decide(FP32, figures(speedup=0.5, score=90.0, agreement=0.9), LIMITS).reason
    assert reason.count(";") == 2


def test_the_limits_are_the_callers() -> None:
    lower = figures(speedup=1.05, score=98.8)
    assert decide(FP32, lower, Limits(max_drop=0.3, min_speedup=1.0)).kept
    assert not decide(FP32, lower, Limits(max_drop=0.3)).kept


def test_a_drop_of_exactly_the_limit_is_within_it() -> None:
    assert decide(FP32, figures(speedup=2.0, score=98.9), LIMITS).kept


def test_a_better_score_is_no_drop() -> None:
    decision = decide(FP32, figures(speedup=2.0, score=99.4), LIMITS)
    assert decision.kept
    assert "no points lost" in decision.reason


def test_without_speed_the_answers_decide() -> None:
    silent = replace(figures("fp16"), p50_ms={})
    assert "speed not measured" in decide(replace(FP32, p50_ms={}), silent, LIMITS).reason
    assert not decide(replace(FP32, p50_ms={}), replace(silent, score=90.0), LIMITS).kept


def test_the_best_is_the_quickest_that_is_kept() -> None:
    proved, refused = Decision(kept=True, reason=""), Decision(kept=False, reason="")
    slow, quick, quickest = figures(speedup=1.2), figures("fp16", speedup=2.0), figures(speedup=5.0)
    assert best([(FP32, proved), (slow, proved), (quick, proved), (quickest, refused)]) is quick
    assert best([(FP32, proved), (quickest, refused)]) is FP32


def test_the_table_says_all_of_it() -> None:
    lower = figures(speedup=0.5)
    lines = comparison_lines(
        [
            Comparison(precision="fp32", figures=FP32, decision=Decision(kept=True, reason="proved")),
            Comparison(precision="int8", figures=lower, decision=decide(FP32, lower, LIMITS)),
            Comparison(precision="fp16", figures=None, decision=Decision(kept=False, reason="not proved here")),
        ]
    )
    batches = [word for size in BUCKETS for word in (f"b{size}", "ms")]
    assert lines[0].split() == ["precision", "provider", "score", "%", "agreement", "%", *batches, "rows/s", "kB"]
    times = ["0.1", "0.2", "0.4", "0.8", "1.6", "3.2"]
    assert lines[1].split() == ["fp32", "CPU", "99.10", "100.00", *times, "10000", "1"]
    assert lines[2].split()[-2:] == ["5000", "1"]
    assert "int8 refused: is not faster" in lines[3]
    assert lines[4] == "  fp16 refused: not proved here"
