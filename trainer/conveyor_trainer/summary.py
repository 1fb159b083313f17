"""An architecture's layers as a table, or as JSON: shapes, parameters and cost, by arithmetic alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from conveyor_trainer.architecture import Architecture
from conveyor_trainer.layers import activation_of
from conveyor_trainer.shapes import Step, plan, spell

_PIPED_WIDTH = 160  # characters: a pipe has no width of its own


def summary_json(architecture: Architecture) -> dict[str, Any]:
    """What `conveyor summary --json` prints. Shapes are [C, H, W], [C, L] or [N]."""
    steps = plan(architecture)
    return {
        "name": architecture.name,
        "task": architecture.task,
        "input_shape": list(architecture.input_shape),
        "layers": [_step_json(step) for step in steps],
        "parameters": sum(step.parameters for step in steps),
        "macs": sum(step.macs for step in steps),
        "warnings": [warning for step in steps for warning in step.warnings],
    }


def print_summary(architecture: Architecture, *, formulas: bool) -> None:
    """The table on stdout, with warnings and totals below it. Shapes are H x W x C."""
    steps = plan(architecture)
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    form = "C x L" if len(architecture.input_shape) == 2 else "H x W x C"
    table = Table(title=f"{architecture.name}: input {spell(architecture.input_shape)} ({form})", title_justify="left")
    table.add_column("layer")
    for heading in (f"output ({form})", "parameters", "multiply-adds", "sees"):
        table.add_column(heading, justify="right")
    if formulas:
        table.add_column("output size")
        table.add_column("parameters")
    for depth, step in _flat(steps):
        row = [
            "  " * depth + step.name + _activation(step),
            spell(step.output_shape),
            f"{step.parameters:,}",
            f"{step.macs:,}",
        ]
        row.append(" x ".join(str(size) for size in step.receptive_field))
        table.add_row(*row, *((step.effect.formula, step.effect.parameters_formula) if formulas else ()))
    console.print(table)
    console.print(
        f"{sum(step.parameters for step in steps):,} parameters, "
        f"{sum(step.macs for step in steps):,} multiply-adds an image; "
        "`sees` is the patch of the input that one output value depends on"
    )
    for line in (*_dense_comparison(steps), *(f"note: {warning}" for step in steps for warning in step.warnings)):
        console.print(line)


def _step_json(step: Step) -> dict[str, Any]:
    record: dict[str, Any] = {
        "name": step.name,
        "type": step.type,
        "output_shape": list(step.output_shape),
        "parameters": step.parameters,
        "macs": step.macs,
        "receptive_field": list(step.receptive_field),
        "formula": step.effect.formula,
        "parameters_formula": step.effect.parameters_formula,
        "dense_equivalent": step.dense_equivalent,
    }
    if step.children:
        record["layers"] = [_step_json(child) for child in step.children]
    return record


def _activation(step: Step) -> str:
    name = activation_of(step.layer)
    return "" if name in ("linear", step.type) else f" + {name}"


def _flat(steps: tuple[Step, ...], depth: int = 0) -> Iterator[tuple[int, Step]]:
    for step in steps:
        yield depth, step
        yield from _flat(step.children, depth + 1)


def _dense_comparison(steps: tuple[Step, ...]) -> Iterator[str]:
    """What local connectivity and weight sharing save, on the first convolution."""
    for _, step in _flat(steps):
        dense = step.dense_equivalent
        if dense and step.parameters:
            yield (
                f"a dense layer in the place of {step.name} would need {dense:,} parameters, "
                f"{dense // step.parameters:,} times as many: the convolution looks at a small patch "
                "and uses the same weights everywhere"
            )
            return
