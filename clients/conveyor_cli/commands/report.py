"""`conveyor report`: a run's figures, and one HTML page with its pictures."""

import sys
from typing import TYPE_CHECKING

from conveyor_trainer.settings import ReportSettings

if TYPE_CHECKING:
    from conveyor_trainer.run import Run

SUMMARY = "show a run's figures and write a page with its pictures"
EXAMPLE = "conveyor report runs/digits"
Settings = ReportSettings


def run(settings: ReportSettings) -> None:
    """Prints the figures; pictures that are missing are drawn first."""
    from conveyor_trainer.run import load_run

    finished = load_run(settings.run)
    if settings.json_:
        from conveyor_trainer.run_files import report_text

        sys.stdout.write(report_text(finished.report))
        return
    from conveyor_trainer.page import write_page
    from conveyor_trainer.pictures import draw_pictures
    from conveyor_trainer.run_files import PICTURE_FOLDER

    if not (finished.folder / PICTURE_FOLDER).is_dir():
        draw_pictures(finished, finished.load_data(settings.data_dir))
    page = write_page(finished)
    _print_figures(finished)
    sys.stdout.write(f"\nthe page with the pictures is {page}\n\nnext: {finished.next_command}\n")


def _print_figures(finished: "Run") -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from conveyor_trainer.report_figures import headline_figures, per_class_table

    console = Console(highlight=False)
    console.print(f"{finished.architecture.name} on {finished.config.data}, seed {finished.config.seed}", markup=False)
    figures = Table(show_header=False, box=SIMPLE)
    figures.add_column()
    figures.add_column(justify="right")
    for name, value in headline_figures(finished):
        figures.add_row(name, value)
    console.print(figures)
    if finished.report.per_class:
        heads, rows = per_class_table(finished.report)
        classes = Table(*heads, box=SIMPLE)
        for column in classes.columns[1:]:
            column.justify = "right"
        for row in rows:
            classes.add_row(*row)
        console.print(classes)
