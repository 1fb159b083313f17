"""A run's report as one HTML page that needs nothing else: figures, tables and pictures, all inside."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

from conveyor_trainer.metrics import EpochMetrics, read_metrics
from conveyor_trainer.pictures import PICTURES
from conveyor_trainer.pictures.fonts import need_other_fonts
from conveyor_trainer.report_figures import headline_figures, per_class_table
from conveyor_trainer.run import Run
from conveyor_trainer.run_files import METRICS_FILE, PAGE_FILE, PICTURE_FOLDER
from conveyor_trainer.weights import write_whole

_OTHER_LETTERS = (
    "Where the machine that drew the pictures had no font with the letters of a name, they say class 0, class 1, ..., "
    "in the order of this table."
)


def write_page(run: Run) -> Path:
    """Writes report.html with the pictures that the run has. Raises RunError when the disk does not take it."""
    template = Template((resources.files("conveyor_trainer") / "page.html").read_text(encoding="utf-8"))
    report = run.report
    recipe = run.config.recipe_name
    figures = [f"<div><b>{escape(value)}</b>{escape(name)}</div>" for name, value in headline_figures(run)]
    sections = [*_pictures(run.folder / PICTURE_FOLDER), *_tables(run), _provenance(run)]
    path = run.folder / PAGE_FILE
    page = template.substitute(
        title=escape(f"{run.architecture.name} on {run.config.data}"),
        subtitle=escape(
            f"Recipe {recipe}, seed {run.config.seed}, {report.epochs} epochs in {report.train_seconds:,.0f} s; "
            f"the weights of epoch {report.best_epoch} were kept. Figures are of the test images unless they say "
            "otherwise."
        ),
        figures="".join(figures),
        sections="\n".join(sections),
    )
    write_whole(path, page.encode())
    return path


def _pictures(folder: Path) -> Iterable[str]:
    for name, picture in PICTURES.items():
        path = folder / f"{name}.png"
        if path.is_file():
            content = base64.b64encode(path.read_bytes()).decode()
            image = f'<img alt="{escape(picture.title)}" src="data:image/png;base64,{content}">'
            yield _section(picture.title, f"<p>{escape(picture.caption)}</p>{image}")


def _tables(run: Run) -> Iterable[str]:
    if run.report.per_class:
        note = f"<p>{escape(_OTHER_LETTERS)}</p>" if need_other_fonts(run.labels) else ""
        yield _section("Class by class", note + _table(*per_class_table(run.report)))
    yield _section("Epoch by epoch", _table(*_epoch_table(read_metrics(run.folder / METRICS_FILE))))


def _epoch_table(history: Sequence[EpochMetrics]) -> tuple[list[str], list[list[str]]]:
    heads = ["epoch", "training loss", "training accuracy", "validation loss", "validation accuracy", "images/s"]
    rows = [
        [
            str(metrics.epoch),
            f"{metrics.train_loss:.4f}",
            _share(metrics.train_accuracy),
            "" if metrics.validation_loss is None else f"{metrics.validation_loss:.4f}",
            _share(metrics.validation_accuracy),
            f"{metrics.images_per_second:,.0f}",
        ]
        for metrics in history
    ]
    return heads, rows


def _provenance(run: Run) -> str:
    rows = [[f"{name} digest", digest] for name, digest in run.report.digests.model_dump().items()]
    rows += [["source revision", run.source_revision or "unknown"]]
    rows += [[name, version] for name, version in run.report.versions.items()]
    rows += [[name, value] for name, value in run.report.machine.items()]
    body = "".join(f"<tr><td>{escape(name)}</td><td><code>{escape(value)}</code></td></tr>" for name, value in rows)
    return _section("Where it comes from", f'<div class="wide"><table>{body}</table></div>')


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"
