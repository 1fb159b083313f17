"""The asyncio stream: gRPC pulls requests in a task of its own while the caller reads answers."""
# ruff: noqa: ASYNC109 - timeout is the call's gRPC deadline, which goes to the server with it

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING

import grpc

from conveyor.v1 import classifier_pb2, classifier_pb2_grpc
from conveyor_client.errors import ConveyorClientError
from conveyor_client.ordering import StreamState
from conveyor_client.requests import STREAM_WINDOW, Ask, Prepared, prepare_async, stream_request
from conveyor_client.results import Classification, failed
from conveyor_client.statuses import call_failure

if TYPE_CHECKING:
    from conveyor_client.images import ImageLike

    Images = Iterable[ImageLike] | AsyncIterable[ImageLike]

# What grpc.aio says when the server ends a stream just as a message is being sent; the server's own status is lost.
_ENDED_WHILE_SENDING = "Internal error from Core"


class AsyncStream:
    """One ClassifyStream call. At most STREAM_WINDOW images are under way: sent, and not yet given to the reader."""

    def __init__(self, images: "Images", ask: Ask, *, ordered: bool) -> None:
        self._images = images
        self._ask = ask
        self._state = StreamState(ordered=ordered)
        self._places = asyncio.Semaphore(STREAM_WINDOW)
        self._unusable: deque[Prepared] = deque()  # never sent, so they hold no place
        self._unsent: set[int] = set()
        self._source_error: Exception | None = None

    async def run(
        self, stub: "classifier_pb2_grpc.ClassifierServiceAsyncStub", address: str, timeout: float | None
    ) -> AsyncIterator[Classification]:
        """Yields the outcomes. Raises what the images' iterator raised, or the call's failure, after them."""
        call = stub.ClassifyStream(self._requests(), timeout=timeout)
        cause: ConveyorClientError | None = None
        try:
            async for response in call:
                for outcome in (*self._unusable_now(), *self._give(self._state.answered(response))):
                    yield outcome
        except grpc.aio.AioRpcError as error:
            if error.details() != _ENDED_WHILE_SENDING:
                cause = call_failure(error, address)
        finally:
            call.cancel()
        for outcome in self._unusable_now():
            yield outcome
        if self._source_error is not None:
            raise self._source_error
        failure = self._state.end(cause)
        if failure is not None:
            raise failure

    async def _requests(self) -> AsyncIterator[classifier_pb2.ClassifyStreamRequest]:
        """Runs in gRPC's task."""
        first, position = True, 0
        try:
            async for image in each(self._images):
                item = await prepare_async(image, position)
                position += 1
                if item.message is None:
                    self._unusable.append(item)
                    continue
                await self._places.acquire()
                self._state.sent(item)
                yield stream_request(self._ask, item, first=first)
                first = False
        except Exception as error:
            # The caller's iterator failed, in a task where nobody would see it: kept for the caller.
            self._source_error = error

    def _unusable_now(self) -> Iterator[Classification]:
        while self._unusable:
            item = self._unusable.popleft()
            self._unsent.add(item.position)
            assert item.error is not None
            yield from self._give(failed(item, item.error))

    def _give(self, outcome: Classification) -> Iterator[Classification]:
        for ready in self._state.turn(outcome):
            if ready.index in self._unsent:
                self._unsent.discard(ready.index)
            else:
                self._places.release()
            yield ready


async def each(images: "Images") -> "AsyncIterator[ImageLike]":
    """The images one by one, from either kind of iterable."""
    if isinstance(images, AsyncIterable):
        async for image in images:
            yield image
    else:
        for image in images:
            yield image
