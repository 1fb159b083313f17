"""The Open Inference Protocol from the caller's side: shapes, requests of raw noise, the server's counters."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from typing import Any, cast

import grpc

from conveyor_bench.open_inference_pb2 import (
    ModelInferRequest,
    ModelMetadataRequest,
    ModelMetadataResponse,
    ModelStatisticsRequest,
    ModelStatisticsResponse,
)
from conveyor_client import ConveyorClientError
from conveyor_client.channel import parse_address

_SERVICE = "/inference.GRPCInferenceService/"
_NOISE_REQUESTS = 16
_INTEGERS = {"UINT8": 1, "INT8": 1, "UINT16": 2, "INT16": 2, "UINT32": 4, "INT32": 4, "UINT64": 8, "INT64": 8}
_FLOATS = {"FP16": "e", "FP32": "f", "FP64": "d"}


@dataclass(frozen=True, kw_only=True)
class Counters:
    """The server's own sums for a model; durations in nanoseconds over `requests`, rows in `runs`."""

    requests: int = 0
    queue: int = 0
    preprocess: int = 0
    compute: int = 0
    rows: int = 0
    runs: int = 0

    def means_since(self, before: Counters) -> dict[str, float]:
        """Milliseconds a request, and rows a run, since then; empty without requests between."""
        requests, runs = self.requests - before.requests, self.runs - before.runs
        if requests <= 0:
            return {}
        return {
            "queue_ms": (self.queue - before.queue) / requests / 1e6,
            "preprocess_ms": (self.preprocess - before.preprocess) / requests / 1e6,
            "compute_ms": (self.compute - before.compute) / requests / 1e6,
            "mean_batch_size": (self.rows - before.rows) / max(1, runs),
        }


class InferenceServer:
    """A server of the Open Inference Protocol. Use with `with`. Calls raise ConveyorClientError."""

    def __init__(self, address: str, timeout: float) -> None:
        target = parse_address(address)
        self.address, self._timeout = address, timeout
        self._channel = (
            grpc.secure_channel(target.address, grpc.ssl_channel_credentials())
            if target.tls
            else grpc.insecure_channel(target.address)
        )

    def __enter__(self) -> InferenceServer:
        return self

    def __exit__(self, *exception: object) -> None:
        self._channel.close()

    def metadata(self, model: str, version: str) -> ModelMetadataResponse:
        """The model's tensors."""
        try:
            answer = self._ask("ModelMetadata", ModelMetadataRequest(name=model, version=version))
        except grpc.RpcError as error:
            raise ConveyorClientError(_in_words(error, model, self.address)) from error
        return ModelMetadataResponse.FromString(answer)

    def counters(self, model: str, version: str) -> Counters | None:
        """The model's counters; None where the server does not offer ModelStatistics."""
        try:
            answer = self._ask("ModelStatistics", ModelStatisticsRequest(name=model, version=version))
        except grpc.RpcError:
            return None
        found = ModelStatisticsResponse.FromString(answer).model_stats
        stats = [each.inference_stats for each in found]
        return Counters(
            requests=sum(each.success.count for each in stats),
            queue=sum(each.queue.ns for each in stats),
            preprocess=sum(each.compute_input.ns for each in stats),
            compute=sum(each.compute_infer.ns for each in stats),
            rows=sum(each.inference_count for each in found),
            runs=sum(each.execution_count for each in found),
        )

    def _ask(self, method: str, request: Any) -> bytes:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(_SERVICE + method)
        return call(request.SerializeToString(), timeout=self._timeout)


def noise_requests(metadata: ModelMetadataResponse, version: str, rows: int, seed: int) -> tuple[bytes, ...]:
    """Serialised ModelInfer requests of `rows` rows: integers of all values, floats from 0 to 1.

    Raises ConveyorClientError for a datatype that noise cannot stand for.
    """
    source = random.Random(seed)  # noqa: S311 - noise, not secrets
    requests = []
    for _ in range(_NOISE_REQUESTS):
        request = ModelInferRequest(model_name=metadata.name, model_version=version)
        for tensor in metadata.inputs:
            shape = [rows, *(max(1, size) for size in tensor.shape[1:])]
            request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=shape)
            request.raw_input_contents.append(_noise(tensor.datatype, shape, source))
        requests.append(request.SerializeToString())
    return tuple(requests)


def _noise(datatype: str, shape: list[int], source: random.Random) -> bytes:
    count = 1
    for size in shape:
        count *= size
    if datatype == "BOOL":
        return bytes(source.choices((0, 1), k=count))
    if datatype in _INTEGERS:
        return source.randbytes(count * _INTEGERS[datatype])
    if datatype in _FLOATS:
        return struct.pack(f"<{count}{_FLOATS[datatype]}", *(source.random() for _ in range(count)))
    raise ConveyorClientError(f"an input of datatype {datatype} cannot be filled with noise; give a model of numbers")


def _in_words(error: grpc.RpcError, model: str, address: str) -> str:
    call = cast(grpc.Call, error)  # what grpc raises is both
    code = call.code().name
    if code == "UNIMPLEMENTED":
        return f"the server at {address} does not speak the Open Inference Protocol; try --protocol conveyor"
    if code in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
        return f"no server answers at {address} ({code})"
    return f"model {model} at {address}: {code}: {call.details()}"
