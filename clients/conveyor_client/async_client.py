"""The asyncio client: the same calls as the synchronous one, to await."""
# ruff: noqa: ASYNC109 - timeout is the call's gRPC deadline, which goes to the server with it

from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

import grpc

from conveyor.v1 import classifier_pb2, classifier_pb2_grpc
from conveyor_client import channel as channels
from conveyor_client.async_streaming import AsyncStream, StreamRequests, each
from conveyor_client.attempts import CALL_BACKOFF, STREAM_BACKOFF, Attempts
from conveyor_client.call_metadata import call_metadata
from conveyor_client.connection import Connection
from conveyor_client.errors import InvalidImage
from conveyor_client.health import HEALTH_CHECK, encode_request, is_serving
from conveyor_client.hedging import AsyncHedgedCall
from conveyor_client.requests import CALLS_UNDER_WAY, Ask, Grouping, Prepared, classify_request, prepare_async, sendable
from conveyor_client.results import Classification, Model, ModelStatus, merge, read_model, read_status
from conveyor_client.retrying import AsyncRetriedCall
from conveyor_client.statuses import call_failure

if TYPE_CHECKING:
    from conveyor_client.async_streaming import Images
    from conveyor_client.images import ImageLike

    Call = AsyncRetriedCall[classifier_pb2.ClassifyResponse]


class AsyncClient:
    """A connection to a Conveyor server, opened at the first call. Use with `async with`, or await close().

    Belongs to the event loop that it was made in. `timeout` is the deadline of a call in seconds, its retries
    included; None waits for ever. A call is tried up to `max_attempts` times (1 to 5) while the server is unreachable
    or full. Every failure is a ConveyorClientError.
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
        self._connection = connection = connection or Connection()
        options = channels.channel_options(max_attempts, connection, target)
        credentials = channels.credentials_for(target, connection, credentials)
        compression = connection.grpc_compression()
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(target.address, options, compression)
        else:
            self._channel = grpc.aio.secure_channel(target.address, credentials, options, compression)
        self.address = target.address
        self.timeout = timeout
        self._max_attempts = max_attempts
        self._stub: classifier_pb2_grpc.ClassifierServiceAsyncStub = classifier_pb2_grpc.ClassifierServiceStub(
            self._channel
        )
        self._health: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(HEALTH_CHECK)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection; calls under way fail."""
        await self._channel.close()

    async def classify(
        self, image: "ImageLike", *, model: str, version: str = "", top_k: int = 1, timeout: float | None = None
    ) -> Classification:
        """Classifies one image: a path, bytes, a binary file, a numpy array or a Pillow image."""
        group = [await prepare_async(image, 0)]
        call = self._start(group, Ask(model=model, version=version, top_k=top_k), timeout)
        [answer] = await self._finish(group, call)
        if answer.error is not None:
            raise answer.error
        return answer

    async def classify_many(
        self,
        images: "Images",
        *,
        model: str,
        version: str = "",
        top_k: int = 1,
        timeout: float | None = None,
    ) -> list[Classification]:
        """As classify_each(), all in a list."""
        answers = self.classify_each(images, model=model, version=version, top_k=top_k, timeout=timeout)
        return [answer async for answer in answers]

    async def classify_each(
        self,
        images: "Images",
        *,
        model: str,
        version: str = "",
        top_k: int = 1,
        timeout: float | None = None,
    ) -> AsyncIterator[Classification]:
        """Classifies images, several a call and several calls at a time; yields one outcome each, in their order.

        The fastest way for images at hand: fewer messages than a stream, and calls are tried again. An image that
        cannot be used has its `error` set; a call that fails raises. `timeout` is that of each call, in seconds.
        """
        ask = Ask(model=model, version=version, top_k=top_k)
        under_way: deque[tuple[list[Prepared], Call | None]] = deque()
        try:
            async for group in _groups(images):
                under_way.append((group, self._start(group, ask, timeout)))
                if len(under_way) == CALLS_UNDER_WAY:
                    for answer in await self._finish(*under_way.popleft()):
                        yield answer
            while under_way:
                for answer in await self._finish(*under_way.popleft()):
                    yield answer
        finally:
            for _, call in under_way:
                if call is not None:
                    call.cancel()

    def stream(
        self,
        images: "Images",
        *,
        model: str,
        version: str = "",
        top_k: int = 1,
        timeout: float | None = None,
    ) -> AsyncIterator[Classification]:
        """Classifies images as the iterable, of either kind, gives them, each sent at once; yields in their order.

        Images are taken no faster than answers are read. An image that cannot be used has its `error` set.
        `timeout` is that of the whole stream, in seconds; None lets it run for ever. Closing the iterator ends it.
        A stream that breaks is begun again, with what was not answered.
        """
        return self._stream(images, Ask(model=model, version=version, top_k=top_k), timeout, ordered=True)

    def stream_unordered(
        self,
        images: "Images",
        *,
        model: str,
        version: str = "",
        top_k: int = 1,
        timeout: float | None = None,
    ) -> AsyncIterator[Classification]:
        """As stream(), in the order in which answers are found; `index` says which image each belongs to."""
        return self._stream(images, Ask(model=model, version=version, top_k=top_k), timeout, ordered=False)

    async def model(self, name: str, version: str = "") -> Model:
        """The model's labels, input size and contract."""
        request = classifier_pb2.GetModelRequest(model_name=name, model_version=version)
        try:
            metadata = call_metadata(self._connection)
            return read_model(await self._stub.GetModel(request, timeout=self.timeout, metadata=metadata))
        except grpc.RpcError as error:
            raise call_failure(error, self.address) from error

    async def models(self, *, ready_only: bool = False) -> list[ModelStatus]:
        """Every model and version that the server's repository holds."""
        request = classifier_pb2.ListModelsRequest(ready_only=ready_only)
        try:
            metadata = call_metadata(self._connection)
            response = await self._stub.ListModels(request, timeout=self.timeout, metadata=metadata)
        except grpc.RpcError as error:
            raise call_failure(error, self.address) from error
        return [read_status(status) for status in response.models]

    async def ready(self, model: str = "") -> bool:
        """Whether the server, or this model, is ready for calls; False also when nothing answers."""
        try:
            metadata = call_metadata(self._connection)
            return is_serving(await self._health(encode_request(model), timeout=self.timeout, metadata=metadata))
        except grpc.RpcError:
            return False

    def _stream(
        self, images: "Images", ask: Ask, timeout: float | None, *, ordered: bool
    ) -> AsyncIterator[Classification]:
        def open_call(
            requests: StreamRequests, remaining: float | None
        ) -> "grpc.aio.StreamStreamCall[classifier_pb2.ClassifyStreamRequest, classifier_pb2.ClassifyStreamResponse]":
            return self._stub.ClassifyStream(requests, timeout=remaining, metadata=call_metadata(self._connection))

        stream = AsyncStream(images, ask, ordered=ordered)
        return stream.run(open_call, self.address, Attempts(self._max_attempts, timeout, STREAM_BACKOFF))

    def _start(self, group: list[Prepared], ask: Ask, timeout: float | None) -> "Call | None":
        """Sends a group's images; None when none of them can be sent."""
        sent = sendable(group)
        if not sent:
            return None
        request = classify_request(ask, sent)

        def start(remaining: float | None) -> AsyncHedgedCall[classifier_pb2.ClassifyResponse]:
            def send() -> "grpc.aio.UnaryUnaryCall[classifier_pb2.ClassifyRequest, classifier_pb2.ClassifyResponse]":
                return self._stub.Classify(request, timeout=remaining, metadata=call_metadata(self._connection))

            return AsyncHedgedCall(send, self._connection.hedge_after)

        return AsyncRetriedCall(start, Attempts(self._max_attempts, timeout or self.timeout, CALL_BACKOFF))

    async def _finish(self, group: list[Prepared], call: "Call | None") -> list[Classification]:
        sent = sendable(group)
        if call is None:
            return merge(group, None)
        try:
            return merge(group, await call.result())
        except grpc.RpcError as error:
            failure = call_failure(error, self.address, sent[0].name if len(sent) == 1 else "")
            if isinstance(failure, InvalidImage) and len(sent) == 1:
                return merge(group, failure)
            raise failure from error


async def _groups(images: "Images") -> AsyncIterator[list[Prepared]]:
    grouping, position = Grouping(), 0
    async for image in each(images):
        full = grouping.add(await prepare_async(image, position))
        position += 1
        if full:
            yield full
    rest = grouping.rest()
    if rest:
        yield rest
