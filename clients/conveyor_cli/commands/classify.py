"""conveyor classify: labels for image files, from a server or from a model file."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, CliPositionalArg
from rich.console import Console
from rich.progress import track

from conveyor_cli.image_files import find_images
from conveyor_client import Classification, Client
from conveyor_client.channel import DEFAULT_ADDRESS, DEFAULT_TIMEOUT

SUMMARY = "classify image files through a server, or with a model file"
EXAMPLE = "conveyor classify photo.jpg holiday/ --model mnist --top 3"


class ClassifySettings(BaseSettings):
    """What `conveyor classify` is told."""

    images: CliPositionalArg[list[str]] = Field(description="image files, folders (searched to the bottom) or patterns")
    url: str = Field(default=DEFAULT_ADDRESS, description="the server's gRPC address, HOST:PORT")
    model: str = Field(default="", description="the model's name on the server")
    version: str = Field(default="", description="the model's version; without it, the one that the server chooses")
    model_file: Path | None = Field(default=None, description="classify with this ONNX file, without a server")
    top: int = Field(default=1, ge=1, description="labels per image, most probable first")
    timeout: float = Field(default=DEFAULT_TIMEOUT, gt=0, description="seconds that a call to the server may take")
    json_: bool = Field(default=False, description="print JSON only")

    @model_validator(mode="after")
    def _one_model(self) -> Self:
        if bool(self.model) == (self.model_file is not None):
            raise ValueError("give either --model NAME (on a server) or --model-file FILE")
        return self


Settings = ClassifySettings


def run(settings: ClassifySettings) -> int:
    """Prints a line or a JSON object for each image; 1 if any of them has no answer."""
    files = find_images(settings.images)
    with ExitStack() as stack:
        answers = _progress(_classify(settings, files, stack), len(files))
        if settings.json_:
            failures = _print_json(answers)
        else:
            failures = _print_lines(answers, width=max(len(str(file)) for file in files))
    if failures:
        sys.stderr.write(f"error: {failures} of {len(files)} images have no answer\n")
        return 1
    if not settings.json_:
        sys.stderr.write(f"next: {_next_command(settings)}\n")
    return 0


def _classify(settings: ClassifySettings, files: list[Path], stack: ExitStack) -> Iterator[Classification]:
    if settings.model_file is not None:
        # Needs numpy, Pillow and ONNX Runtime, which a client of a server does without.
        from conveyor_cli.local_model import LocalModel

        return LocalModel(settings.model_file).classify(files, settings.top)
    client = stack.enter_context(Client(settings.url, timeout=settings.timeout))
    return client.classify_each(files, model=settings.model, version=settings.version, top_k=settings.top)


def _progress(answers: Iterable[Classification], total: int) -> Iterable[Classification]:
    console = Console(stderr=True)
    hidden = not console.is_terminal or total == 1
    return track(answers, total=total, description="classifying", console=console, disable=hidden, transient=True)


def _print_json(answers: Iterable[Classification]) -> int:
    listed = [_as_json(answer) for answer in answers]
    sys.stdout.write(json.dumps(listed, indent=2, ensure_ascii=False) + "\n")
    return sum("error" in entry for entry in listed)


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


def _print_lines(answers: Iterable[Classification], width: int) -> int:
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


def _next_command(settings: ClassifySettings) -> str:
    if settings.model_file is not None:
        return f"conveyor inspect {settings.model_file}"
    return f"conveyor bench --url {settings.url} --model {settings.model}"
