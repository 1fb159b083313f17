"""What is measured: the served model, and the workload that asks it."""

from __future__ import annotations

from dataclasses import dataclass

from conveyor_bench.inference import InferenceServer, noise_requests
from conveyor_bench.payloads import Question, build_items, build_requests, images_from_files, noise_images
from conveyor_bench.settings import BenchSettings
from conveyor_bench.workload import CLASSIFY, CLASSIFY_STREAM, MODEL_INFER, Workload
from conveyor_client import Client


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model that a server answers for; digest and provider only where the server tells them."""

    name: str
    version: str
    file_digest: str
    provider: str
    workload: Workload


def find_subject(settings: BenchSettings) -> Subject:
    """Asks the server for the model and builds the requests. Raises ConveyorClientError if it has none to give."""
    return _of_inference(settings) if settings.protocol == "inference" else _of_conveyor(settings)


def _of_conveyor(settings: BenchSettings) -> Subject:
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
    method, build = (CLASSIFY_STREAM, build_items) if settings.stream else (CLASSIFY, build_requests)
    return Subject(
        name=model.status.name,
        version=model.status.version,
        file_digest=model.status.file_digest,
        provider=model.status.provider,
        workload=_workload(settings, method, build(images, question)),
    )


def _of_inference(settings: BenchSettings) -> Subject:
    with InferenceServer(settings.url, settings.timeout) as server:
        metadata = server.metadata(settings.model, settings.version)
    requests = noise_requests(metadata, settings.version, settings.images_per_request, settings.seed)
    return Subject(
        name=metadata.name,
        version=settings.version or ",".join(metadata.versions),
        file_digest="",
        provider=metadata.platform,
        workload=_workload(settings, MODEL_INFER, requests),
    )


def _workload(settings: BenchSettings, method: str, requests: tuple[bytes, ...]) -> Workload:
    return Workload(
        address=settings.url,
        method=method,
        requests=requests,
        timeout=settings.timeout,
        connections=settings.connections,
        streams=settings.streams,
    )
