"""The table of precisions that were measured side by side, as `conveyor export` prints it."""

from collections.abc import Sequence

from conveyor_exporter.precision.gate import Comparison, Figures


def comparison_lines(comparisons: Sequence[Comparison]) -> list[str]:
    """A line a precision: score, agreement, p50 at each batch size, rows a second, size; then the verdicts."""
    measured = [line for line in comparisons if line.figures is not None]
    sizes = sorted({size for line in measured if line.figures for size in line.figures.p50_ms})
    header = ["precision", "provider", "score %", "agreement %", *(f"b{size} ms" for size in sizes), "rows/s", "kB"]
    cells = [header, *(_cells(line.figures, sizes) for line in measured if line.figures)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    table = ["  " + "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in cells]
    lower = [line for line in comparisons if line.precision != "fp32"]
    verdicts = [
        f"  {line.precision} {'kept' if line.decision.kept else 'refused'}: {line.decision.reason}" for line in lower
    ]
    return [*(table if measured else []), *verdicts]


def _cells(figures: Figures, sizes: Sequence[int]) -> list[str]:
    return [
        figures.precision,
        figures.provider.removesuffix("ExecutionProvider"),
        f"{figures.score:.2f}",
        f"{100 * figures.agreement:.2f}",
        *(f"{figures.p50_ms[size]:.3g}" if size in figures.p50_ms else "-" for size in sizes),
        f"{figures.rows_per_second:.0f}" if figures.p50_ms else "-",
        f"{figures.file_bytes / 1000:.0f}",
    ]
