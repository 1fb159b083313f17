"""conveyor classify: labels for image files, from a server or from a model file."""

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator
from rich.console import Console
from rich.progress import track

from conveyor_cli.answer_formats import Format, print_answers
from conveyor_cli.image_files import find_images
from conveyor_cli.sorting import sort_into
from conveyor_client import Classification, Client, Connection
from conveyor_client.channel import DEFAULT_ADDRESS, DEFAULT_TIMEOUT
from conveyor_client.requests import IMAGES_PER_CALL

SUMMARY = "classify image files through a server, or with a model file"
EXAMPLE = "conveyor classify photo.jpg holiday/ --model mnist --top 3"


class ClassifySettings(BaseModel):
    """What `conveyor classify` is told."""

    images: Annotated[list[str], "positional"] = Field(
        description="image files, folders (searched to the bottom), patterns, or - for a list of them on standard input"
    )
    url: str = Field(default=DEFAULT_ADDRESS, description="the server's gRPC address, HOST:PORT; grpcs:// for TLS")
    model: str = Field(default="", description="the model's name on the server")
    version: str = Field(default="", description="the model's version; without it, the one that the server chooses")
    model_file: Path | None = Field(default=None, description="classify with this ONNX file, without a server")
    top: int = Field(default=1, ge=1, description="labels per image, most probable first")
    timeout: float = Field(default=DEFAULT_TIMEOUT, gt=0, description="seconds that a call to the server may take")
    format: Format = Field(
        default="table", description="what is printed: lines to read, one JSON list, a JSON object a line, or CSV"
    )
    json_: bool = Field(default=False, description="print JSON only: --format json")
    workers: int = Field(default=4, ge=1, le=256, description="threads that read images, and calls under way")
    sort_into: Path | None = Field(
        default=None, description="folder to copy the images into, by label; nothing is overwritten"
    )
    root_certificates: Path | None = Field(default=None, description="PEM file of whom to trust, for TLS")
    certificate: Path | None = Field(default=None, description="PEM file of the client's certificate, for mutual TLS")
    key: Path | None = Field(default=None, description="PEM file of the client's key, for mutual TLS")
    token_file: Path | None = Field(default=None, description="file with the token that the server wants")

    @model_validator(mode="after")
    def _one_model(self) -> Self:
        if bool(self.model) == (self.model_file is not None):
            raise ValueError("give either --model NAME (on a server) or --model-file FILE")
        return self

    @model_validator(mode="after")
    def _one_format(self) -> Self:
        if self.json_ and self.format not in ("table", "json"):
            raise ValueError(f"--json and --format {self.format} contradict each other")
        return self


Settings = ClassifySettings


def run(settings: ClassifySettings) -> int:
    """Prints every image's answer as asked; 1 if any of them has none."""
    form: Format = "json" if settings.json_ else settings.format
    files = find_images(settings.images)
    with ExitStack() as stack:
        answers = _progress(_classify(settings, files, stack), len(files))
        if settings.sort_into is not None:
            answers = sort_into(settings.sort_into, answers)
        failures = print_answers(answers, form, map(str, files))
    if failures:
        sys.stderr.write(f"error: {failures} of {len(files)} images have no answer\n")
        return 1
    if form == "table":
        sys.stderr.write(f"next: {_next_command(settings)}\n")
    return 0


def _classify(settings: ClassifySettings, files: list[Path], stack: ExitStack) -> Iterator[Classification]:
    if settings.model_file is not None:
        # Needs numpy, Pillow and ONNX Runtime, which a client of a server does without.
        from conveyor_cli.local_model import LocalModel

        pool = stack.enter_context(ThreadPoolExecutor(settings.workers))
        return LocalModel(settings.model_file).classify(files, settings.top, pool)
    connection = Connection(
        root_certificates=settings.root_certificates,
        certificate=settings.certificate,
        key=settings.key,
        token=settings.token_file,
    )
    client = stack.enter_context(Client(settings.url, timeout=settings.timeout, connection=connection))
    return _through_server(client, settings, files)


def _through_server(client: Client, settings: ClassifySettings, files: list[Path]) -> Iterator[Classification]:
    """A call's worth of images to each worker; answers in the images' order."""

    def classify(group: list[Path]) -> list[Classification]:
        return client.classify_many(group, model=settings.model, version=settings.version, top_k=settings.top)

    remaining = iter(files)
    pool = ThreadPoolExecutor(settings.workers)
    under_way: deque[Future[list[Classification]]] = deque()
    try:
        while group := list(islice(remaining, IMAGES_PER_CALL)):
            under_way.append(pool.submit(classify, group))
            # One more than there are workers, so that none waits while answers are printed.
            if len(under_way) > settings.workers:
                yield from under_way.popleft().result()
        while under_way:
            yield from under_way.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _progress(answers: Iterable[Classification], total: int) -> Iterable[Classification]:
    console = Console(stderr=True)
    hidden = not console.is_terminal or total == 1
    return track(answers, total=total, description="classifying", console=console, disable=hidden, transient=True)


def _next_command(settings: ClassifySettings) -> str:
    if settings.model_file is not None:
        return f"conveyor inspect {settings.model_file}"
    return f"conveyor bench --url {settings.url} --model {settings.model}"
