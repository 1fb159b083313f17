"""The synchronous client. One client is one channel; it may be shared between threads."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

import grpc

from conveyor.v1 import classifier_pb2, classifier_pb2_grpc
from conveyor_client import channel as channels
from conveyor_client.attempts import CALL_BACKOFF, STREAM_BACKOFF, Attempts
from conveyor_client.call_metadata import call_metadata
from conveyor_client.connection import Connection
from conveyor_client.errors import InvalidImage
from conveyor_client.health import HEALTH_CHECK, encode_request, is_serving
from conveyor_client.hedging import HedgedCall
from conveyor_client.per_process import PerProcess
from conveyor_client.requests import CALLS_UNDER_WAY, Ask, Grouping, Prepared, classify_request, prepare, sendable
from conveyor_client.results import Classification, Model, ModelStatus, merge, read_model, read_status
from conveyor_client.retrying import RetriedCall
from conveyor_client.statuses import call_failure
from conveyor_client.streaming import Stream, StreamCall, StreamRequests

if TYPE_CHECKING:
    from conveyor_client.images import ImageLike

    Call = RetriedCall[classifier_pb2.ClassifyResponse]


@dataclass(frozen=True, kw_only=True)
class _Opened:
    """One process's channel, and what is called through it."""

    channel: grpc.Channel
    stub: classifier_pb2_grpc.ClassifierServiceStub
    health: "grpc.UnaryUnaryMultiCallable[bytes, bytes]"


class Client:
    """A connection to a Conveyor server, opened at the first call. Use as a context manager, or close().

    `timeout` is the deadline of a call in seconds, its retries included; None waits for ever. A call is tried up
    to `max_attempts` times (1 to 5) while the server is unreachable or full. Every failure is a ConveyorClientError.
    A process that is forked off later opens a connection of its own.
    """

    def __init__(
        self,
        address: str = channels.DEFAULT_ADDRESS,
        *,
        timeout: float | None = channels.DEFAULT_TIMEOUT,
        max_attempts: int = channels.MAX_ATTEMPTS,
        connection: Connection | None = None,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        target = channels.parse_address(address)
        self.address = target.address
        self.timeout = timeout
        self._target = target
        self._max_attempts = max_attempts
        self._connection = connection or Connection()
        self._credentials = channels.credentials_for(target, self._connection, credentials)
        self._opened = PerProcess(self._open)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection; calls under way fail."""
        opened = self._opened.made()
        if opened is not None:
            opened.channel.close()

    def classify(
        self, image: "ImageLike", *, model: str, version: str = "", top_k: int = 1, timeout: float | None = None
    ) -> Classification:
        """Classifies one image: a path, bytes, a binary file, a numpy array or a Pillow image."""
        group = [prepare(image, 0)]
        call = self._start(group, Ask(model=model, version=version, top_k=top_k), timeout)
        [answer] = self._finish(group, call)
        if answer.error is not None:
            raise answer.error
        return answer

    def classify_many(
        self,
        images: "Iterable[ImageLike]",
        *,
        model: str,
        version: str = "",
        top_k: int = 1,
        timeout: float | None = None,
    ) -> list[Classification]:
        """As classify_each(), all in a list."""
        answers = self.classify_each(images, model=model, version=version, top_k=top_k, timeout=timeout)
        return list(answers)

    def classify_each(
        self,
        images: "Iterable[ImageLike]",
        *,
        model: str,
        version: str = "",
        top_k: int = 1,
        timeout: float | None = None,
    ) -> Iterator[Classification]:
        """Classifies images, several a call and several calls at a time; yields one outcome each, in their order.

        The fastest way for images at hand: fewer messages than a stream, and calls are tried again. An image that
        cannot be used has its `error` set; a call that fails raises. `timeout` is that of each call, in seconds.
        """
        ask = Ask(model=model, version=version, top_k=top_k)
        under_way: deque[tuple[list[Prepared], Call | None]] = deque()
        try:
            for group in _groups(images):
                under_way.append((group, self._start(group, ask, timeout)))
                if len(under_way) == CALLS_UNDER_WAY:
                    yield from self._finish(*under_way.popleft())
            while under_way:
                yield from self._finish(*under_way.popleft())
        finally:
            for _, call in under_way:
                if call is not None:
                    call.cancel()

    def stream(
        self,
        images: "Iterable[ImageLike]",
        *,
        model: str,
        version: str = "",
        top_k: int = 1,
        timeout: float | None = None,
    ) -> Iterator[Classification]:
        """Classifies images as the iterable gives them, each sent at once; one outcome each, in their order.

        Images are taken no faster than answers are read. An image that cannot be used has its `error` set.
        `timeout` is that of the whole stream, in seconds; None lets it run for ever. Closing the iterator ends it.
        A stream that breaks is begun again, with what was not answered.
        """
        return self._stream(images, Ask(model=model, version=version, top_k=top_k), timeout, ordered=True)

    def stream_unordered(
        self,
        images: "Iterable[ImageLike]",
        *,
        model: str,
        version: str = "",
        top_k: int = 1,
        timeout: float | None = None,
    ) -> Iterator[Classification]:
        """As stream(), in the order in which answers are found; `index` says which image each belongs to."""
        return self._stream(images, Ask(model=model, version=version, top_k=top_k), timeout, ordered=False)

    def model(self, name: str, version: str = "") -> Model:
        """The model's labels, input size and contract."""
        request = classifier_pb2.GetModelRequest(model_name=name, model_version=version)
        try:
            metadata = call_metadata(self._connection)
            return read_model(self._opened.get().stub.GetModel(request, timeout=self.timeout, metadata=metadata))
        except grpc.RpcError as error:
            raise call_failure(error, self.address) from error

    def models(self, *, ready_only: bool = False) -> list[ModelStatus]:
        """Every model and version that the server's repository holds."""
        request = classifier_pb2.ListModelsRequest(ready_only=ready_only)
        try:
            metadata = call_metadata(self._connection)
            response = self._opened.get().stub.ListModels(request, timeout=self.timeout, metadata=metadata)
        except grpc.RpcError as error:
            raise call_failure(error, self.address) from error
        return [read_status(status) for status in response.models]

    def ready(self, model: str = "") -> bool:
        """Whether the server, or this model, is ready for calls; False also when nothing answers."""
        try:
            metadata = call_metadata(self._connection)
            check = self._opened.get().health
            return is_serving(check(encode_request(model), timeout=self.timeout, metadata=metadata))
        except grpc.RpcError:
            return False

    def _open(self, forked: bool) -> _Opened:
        connection, target = self._connection, self._target
        options = channels.channel_options(self._max_attempts, connection, target)
        if forked:
            # Else gRPC would go on with the socket that the parent uses.
            options.append(("grpc.use_local_subchannel_pool", 1))
        compression = connection.grpc_compression()
        if self._credentials is None:
            channel = grpc.insecure_channel(target.address, options, compression)
        else:
            channel = grpc.secure_channel(target.address, self._credentials, options, compression)
        return _Opened(
            channel=channel,
            stub=classifier_pb2_grpc.ClassifierServiceStub(channel),
            health=channel.unary_unary(HEALTH_CHECK),
        )

    def _stream(
        self, images: "Iterable[ImageLike]", ask: Ask, timeout: float | None, *, ordered: bool
    ) -> Iterator[Classification]:
        stub, connection = self._opened.get().stub, self._connection

        def open_call(requests: StreamRequests, remaining: float | None) -> StreamCall:
            return stub.ClassifyStream(requests, timeout=remaining, metadata=call_metadata(connection))

        stream = Stream(images, ask, ordered=ordered)
        return stream.run(open_call, self.address, Attempts(self._max_attempts, timeout, STREAM_BACKOFF))

    def _start(self, group: list[Prepared], ask: Ask, timeout: float | None) -> "Call | None":
        """Sends a group's images; None when none of them can be sent."""
        sent = sendable(group)
        if not sent:
            return None
        request = classify_request(ask, sent)
        classify = self._opened.get().stub.Classify

        def start(remaining: float | None) -> HedgedCall[classifier_pb2.ClassifyResponse]:
            def send() -> "grpc.Future[classifier_pb2.ClassifyResponse]":
                return classify.future(request, timeout=remaining, metadata=call_metadata(self._connection))

            return HedgedCall(send, self._connection.hedge_after)

        return RetriedCall(start, Attempts(self._max_attempts, timeout or self.timeout, CALL_BACKOFF))

    def _finish(self, group: list[Prepared], call: "Call | None") -> list[Classification]:
        sent = sendable(group)
        if call is None:
            return merge(group, None)
        try:
            return merge(group, call.result())
        except grpc.RpcError as error:
            failure = call_failure(error, self.address, sent[0].name if len(sent) == 1 else "")
            if isinstance(failure, InvalidImage) and len(sent) == 1:
                return merge(group, failure)
            raise failure from error


def _groups(images: "Iterable[ImageLike]") -> Iterator[list[Prepared]]:
    grouping = Grouping()
    for position, image in enumerate(images):
        full = grouping.add(prepare(image, position))
        if full:
            yield full
    rest = grouping.rest()
    if rest:
        yield rest
