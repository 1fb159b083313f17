"""What `conveyor classify` prints, in each of its formats. Failures of images are counted and never hidden."""

import csv
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, Literal

from conveyor_client import Classification

Format = Literal["table", "json", "jsonl", "csv"]
Answers = Iterable[Classification]

CSV_COLUMNS = ("image", "rank", "label", "index", "probability", "value", "model_version", "error")


def print_answers(answers: Answers, form: Format, names: Iterable[str]) -> int:
    """Prints each answer as soon as it is there (json: all at the end); returns how many images have none.

    `names` are those of all the images, for the width of the table's first column.
    """
    if form == "table":
        return _print_table(answers, width=max(map(len, names), default=0))
    printers: dict[str, Callable[[Answers], int]] = {"json": _print_json, "jsonl": _print_lines, "csv": _print_csv}
    return printers[form](answers)


def _print_table(answers: Answers, width: int) -> int:
    failures = 0
    for answer in answers:
        if answer.error is not None:
            failures += 1
            sys.stderr.write(f"error: {answer.error}\n")
            continue
        found = [f"{each.label} {each.probability:.1%}" for each in answer.predictions]
        found += [f"{value:.6g}" for value in answer.values]
        sys.stdout.write(f"{answer.image:<{width}}  {', '.join(found)}\n")
    return failures


def _print_json(answers: Answers) -> int:
    listed = [_as_json(answer) for answer in answers]
    sys.stdout.write(json.dumps(listed, indent=2, ensure_ascii=False) + "\n")
    return sum("error" in entry for entry in listed)


def _print_lines(answers: Answers) -> int:
    failures = 0
    for answer in answers:
        failures += answer.error is not None
        sys.stdout.write(json.dumps(_as_json(answer), ensure_ascii=False) + "\n")
    return failures


def _as_json(answer: Classification) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "image": answer.image,
        "predictions": [asdict(prediction) for prediction in answer.predictions],
        "model_version": answer.model_version,
        "timings": asdict(answer.timings),
    }
    if answer.values:
        entry["values"] = list(answer.values)
    if answer.error is not None:
        entry["error"] = str(answer.error)
    return entry


def _print_csv(answers: Answers) -> int:
    """A row for each prediction or value of an image, or one with its error."""
    writer = csv.DictWriter(sys.stdout, CSV_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    failures = 0
    for answer in answers:
        failures += answer.error is not None
        writer.writerows({"image": answer.image, **row} for row in _csv_rows(answer))
    return failures


def _csv_rows(answer: Classification) -> list[dict[str, Any]]:
    if answer.error is not None:
        return [{"error": str(answer.error)}]
    version = {"model_version": answer.model_version}
    labels = [{"rank": rank, **asdict(each), **version} for rank, each in enumerate(answer.predictions, 1)]
    return labels + [{"rank": rank, "value": value, **version} for rank, value in enumerate(answer.values, 1)]
