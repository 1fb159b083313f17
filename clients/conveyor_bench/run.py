"""One benchmark from its settings to its report."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hdrh.histogram import HdrHistogram

from conveyor_bench.load import Load, Measured
from conveyor_bench.machine import describe_machine, describe_versions
from conveyor_bench.payloads import Question, build_requests, images_from_files, noise_images
from conveyor_bench.report import Report, make_report
from conveyor_bench.schedule import send_times
from conveyor_bench.settings import BenchSettings
from conveyor_client import Client, Model


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished benchmark."""

    settings: BenchSettings
    model: Model
    report: Report
    latency: HdrHistogram

    @property
    def title(self) -> str:
        """The run in a line."""
        settings, status = self.settings, self.model.status
        if settings.rate is None:
            load = f"closed loop, {settings.closed_concurrency} under way"
        else:
            load = f"open loop, {settings.rate:g} requests/s ({settings.arrivals})"
        images = "" if settings.images_per_request == 1 else f", {settings.images_per_request} images a request"
        return f"{status.name} version {status.version} at {settings.url}: {load}{images}"

    def as_json(self) -> dict[str, Any]:
        """Figures, settings, machine and versions as JSON values."""
        return {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "settings": {name.rstrip("_"): value for name, value in self.settings.model_dump(mode="json").items()},
            "model": {
                "name": self.model.status.name,
                "version": self.model.status.version,
                "file_digest": self.model.status.file_digest,
                "provider": self.model.status.provider,
            },
            "machine": describe_machine(),
            "versions": describe_versions(),
            "report": self.report.as_json(),
        }


def run_bench(settings: BenchSettings) -> Result:
    """Asks the server for the model, then puts the load on it. Raises ConveyorClientError if it has none to give."""
    with Client(settings.url, timeout=settings.timeout) as client:
        model = client.model(settings.model, settings.version)
    if settings.image:
        images = images_from_files(settings.image)
    else:
        images = noise_images(model, settings.encoding, settings.seed)
    question = Question(
        model=settings.model,
        version=settings.version,
        top_k=settings.top,
        images_per_request=settings.images_per_request,
    )
    measured = asyncio.run(_measure(settings, client.address, build_requests(images, question)))
    report = make_report(measured, settings.images_per_request)
    return Result(settings=settings, model=model, report=report, latency=measured.recorder.latency)


async def _measure(settings: BenchSettings, address: str, requests: list[bytes]) -> Measured:
    async with Load(address, requests, settings.timeout, settings.connections) as load:
        if settings.warmup:
            await _load(load, settings, settings.warmup)
        return await _load(load, settings, settings.duration)


async def _load(load: Load, settings: BenchSettings, seconds: float) -> Measured:
    if settings.rate is None:
        return await load.closed(settings.closed_concurrency, seconds)
    return await load.open(send_times(settings.rate, seconds, settings.arrivals, settings.seed))
