"""A server whose every answer the test decides, for what a real server cannot be made to do on demand."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import grpc

from conveyor.v1 import classifier_pb2, classifier_pb2_grpc, model_pb2

LABELS = ("zero", "one", "two")
UNREADABLE = b"no image"


def expected_index(image: classifier_pb2.Image) -> int:
    """The label that the scripted server gives: the image's bytes, added up."""
    content = image.encoded or image.pixels.data or image.tensor.data
    return sum(content) % len(LABELS)


@dataclass
class Script:
    """What the server does next, and what it was asked."""

    failures: list[tuple[grpc.StatusCode, str]] = field(default_factory=list)  # one a call, before it works again
    delay: float = 0.0  # seconds before each answer
    delays: list[float] = field(default_factory=list)  # one a call, in place of `delay`
    pushback_ms: str = ""  # what a failure asks the caller to wait
    token: str = ""  # calls without it are refused
    answers_alternate: bool = False  # every other call is answered with another label
    results_dropped: int = 0  # results left out of a Classify answer
    stream_ends_after: int | None = None  # answers, then the stream ends by itself
    stream_fails_after: int | None = None  # answers, then UNAVAILABLE
    stream_breaks: list[int] = field(default_factory=list)  # one a stream: answers, then UNAVAILABLE
    stream_shuffles: int = 1  # answers held back and then given in reverse
    metadata: list[dict[str, str | bytes]] = field(default_factory=list)
    requests: list[classifier_pb2.ClassifyRequest] = field(default_factory=list)
    attempts: int = 0
    stream_taken: int = 0  # items read from a stream
    stream_gate: threading.Event | None = None  # answers of a stream wait for it


class ScriptedServicer(classifier_pb2_grpc.ClassifierServiceServicer):
    def __init__(self, script: Script) -> None:
        self.script = script

    def _admit(self, context: grpc.ServicerContext) -> None:
        metadata = dict(context.invocation_metadata() or ())
        self.script.metadata.append(metadata)
        if self.script.token and metadata.get("authorization") != f"Bearer {self.script.token}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token has expired.")

    def Classify(
        self, request: classifier_pb2.ClassifyRequest, context: grpc.ServicerContext
    ) -> classifier_pb2.ClassifyResponse:
        script = self.script
        script.attempts += 1
        script.requests.append(request)
        self._admit(context)
        time.sleep(script.delays.pop(0) if script.delays else script.delay)
        if script.failures:
            code, details = script.failures.pop(0)
            if script.pushback_ms:
                context.set_trailing_metadata((("grpc-retry-pushback-ms", script.pushback_ms),))
            context.abort(code, details)
        if request.model_name != "m":
            context.abort(grpc.StatusCode.NOT_FOUND, f"there is no model {request.model_name!r}.")
        if len(request.images) == 1 and request.images[0].encoded == UNREADABLE:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "this is no image.")
        shift = script.attempts % 2 if script.answers_alternate else 0
        results = [_result(image, request.top_k, shift) for image in request.images]
        return classifier_pb2.ClassifyResponse(
            results=results[script.results_dropped :],
            model_name="m",
            model_version="7",
            file_digest="sha256:00",
            timings=classifier_pb2.Timings(preprocess_us=1, queue_us=2, compute_us=3, batch_size=len(results)),
        )

    def ClassifyStream(
        self, request_iterator: Iterator[classifier_pb2.ClassifyStreamRequest], context: grpc.ServicerContext
    ) -> Iterator[classifier_pb2.ClassifyStreamResponse]:
        script, held, top_k = self.script, [], 0
        self._admit(context)
        breaks = script.stream_breaks.pop(0) if script.stream_breaks else script.stream_fails_after
        for count, request in enumerate(request_iterator):
            if count == 0:
                assert request.model_name == "m"
                top_k = request.top_k
            script.stream_taken += 1
            if script.stream_gate is not None:
                script.stream_gate.wait(20)
            if count == script.stream_ends_after:
                return
            if count == breaks:
                if script.pushback_ms:
                    context.set_trailing_metadata((("grpc-retry-pushback-ms", script.pushback_ms),))
                context.abort(grpc.StatusCode.UNAVAILABLE, "the server is stopping.")
            held.append(
                classifier_pb2.ClassifyStreamResponse(
                    item_id=request.item_id, result=_result(request.image, top_k), model_name="m", model_version="7"
                )
            )
            if len(held) == script.stream_shuffles:
                yield from reversed(held)
                held = []
        yield from reversed(held)

    def GetModel(
        self, request: classifier_pb2.GetModelRequest, context: grpc.ServicerContext
    ) -> classifier_pb2.GetModelResponse:
        if request.model_name != "m":
            context.abort(grpc.StatusCode.NOT_FOUND, f"there is no model {request.model_name!r}.")
        return classifier_pb2.GetModelResponse(
            status=STATUS,
            contract=model_pb2.ModelContract(
                labels=LABELS,
                preprocessing=model_pb2.Preprocessing(height=4, width=5, colour_mode=model_pb2.COLOUR_MODE_RGB),
            ),
        )

    def ListModels(
        self, request: classifier_pb2.ListModelsRequest, context: grpc.ServicerContext
    ) -> classifier_pb2.ListModelsResponse:
        loading = classifier_pb2.ModelStatus(model_name="n", state=classifier_pb2.MODEL_STATE_UNAVAILABLE, reason="why")
        return classifier_pb2.ListModelsResponse(models=[STATUS] if request.ready_only else [STATUS, loading])


STATUS = classifier_pb2.ModelStatus(
    model_name="m",
    model_version="7",
    state=classifier_pb2.MODEL_STATE_READY,
    file_digest="sha256:00",
    provider="CPUExecutionProvider",
)


def _result(image: classifier_pb2.Image, top_k: int, shift: int = 0) -> classifier_pb2.Result:
    if image.encoded == UNREADABLE:
        return classifier_pb2.Result(error=classifier_pb2.ItemError(code=3, message="this is no image."))
    best = expected_index(image) + shift
    ranks = [(best + step) % len(LABELS) for step in range(max(1, top_k))]
    predictions = [
        classifier_pb2.Prediction(label=LABELS[index], index=index, probability=0.6 / (rank + 1))
        for rank, index in enumerate(ranks)
    ]
    return classifier_pb2.Result(answer=classifier_pb2.Answer(predictions=predictions))


@dataclass(kw_only=True)
class ScriptedServer:
    """Runs on a free port of its own."""

    script: Script
    address: str
    server: grpc.Server


def start(
    script: Script, credentials: grpc.ServerCredentials | None = None, address: str = "127.0.0.1:0"
) -> ScriptedServer:
    server = grpc.server(
        ThreadPoolExecutor(8),
        options=[("grpc.max_receive_message_length", 4 * 1024 * 1024), ("grpc.so_reuseport", 0)],
    )
    classifier_pb2_grpc.add_ClassifierServiceServicer_to_server(ScriptedServicer(script), server)
    port = server.add_insecure_port(address) if credentials is None else server.add_secure_port(address, credentials)
    server.start()
    return ScriptedServer(script=script, address=f"127.0.0.1:{port}", server=server)
