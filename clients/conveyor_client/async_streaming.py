"""The asyncio stream: gRPC pulls requests in a task of its own while the caller reads answers.

A call that breaks is followed by another, which first sends what the one before it left unanswered.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import grpc

from conveyor.v1 import classifier_pb2
from conveyor_client.attempts import Attempts, pushback
from conveyor_client.errors import ConveyorClientError
from conveyor_client.ordering import StreamState
from conveyor_client.requests import STREAM_WINDOW, Ask, Prepared, prepare_async, stream_request
from conveyor_client.results import Classification, failed
from conveyor_client.statuses import call_failure

if TYPE_CHECKING:
    from conveyor_client.images import ImageLike

    Images = Iterable[ImageLike] | AsyncIterable[ImageLike]

StreamRequests = AsyncIterator[classifier_pb2.ClassifyStreamRequest]
# Begins a call with these requests; its timeout in seconds.
OpenCall = Callable[
    [StreamRequests, float | None],
    "grpc.aio.StreamStreamCall[classifier_pb2.ClassifyStreamRequest, classifier_pb2.ClassifyStreamResponse]",
]

# What grpc.aio says when the server ends a stream just as a message is being sent; the server's own status is lost.
_ENDED_WHILE_SENDING = "Internal error from Core"


class AsyncStream:
    """One stream of images. At most STREAM_WINDOW are under way: sent, and not yet given to the reader."""

    def __init__(self, images: "Images", ask: Ask, *, ordered: bool) -> None:
        self._images = each(images)
        self._position = 0
        self._ask = ask
        self._state = StreamState(ordered=ordered)
        self._places = asyncio.Semaphore(STREAM_WINDOW)
        self._taking = asyncio.Lock()
        self._all_taken = False
        self._unusable: deque[Prepared] = deque()  # never sent, so they hold no place
        self._unsent: set[int] = set()
        self._source_error: Exception | None = None

    async def run(self, open_call: OpenCall, address: str, attempts: Attempts) -> AsyncIterator[Classification]:
        """Yields the outcomes. Raises what the images' iterator raised, or the last call's failure, after them."""
        cause: ConveyorClientError | None = None
        wait: float | None = 0.0
        while wait is not None:
            await asyncio.sleep(wait)
            call = open_call(self._requests(), attempts.remaining())
            try:
                async for response in call:
                    attempts.answered()
                    for outcome in (*self._unusable_now(), *self._give(self._state.answered(response))):
                        yield outcome
                cause = wait = None
            except grpc.aio.AioRpcError as error:
                lost = error.details() == _ENDED_WHILE_SENDING
                cause = None if lost else call_failure(error, address)
                code = grpc.StatusCode.UNAVAILABLE if lost else error.code()
                wait = None if self._done() else attempts.wait_after(code, pushback(error))
            finally:
                # A call that has ended is not cancelled by this, nor its task, which may be waiting for an image.
                call.cancel()
        for outcome in self._unusable_now():
            yield outcome
        if self._source_error is not None:
            raise self._source_error
        failure = None if self._done() else self._state.end(cause)
        if failure is not None:
            raise failure

    def _done(self) -> bool:
        return self._all_taken and self._state.all_answered

    async def _requests(self) -> StreamRequests:
        """Runs in gRPC's task, one call after the other; that of a broken call may still be in _take()."""
        last = -1
        left = self._state.unanswered_after(last)
        while True:
            for item in left:
                yield stream_request(self._ask, item, first=last < 0)
                last = item.position
            async with self._taking:
                # What a broken call has taken meanwhile, and could not send any more, goes first.
                left = self._state.unanswered_after(last) or await self._take()
            if not left:
                return

    async def _take(self) -> list[Prepared]:
        """The next image that can be sent, once there is a place for it; none at the end."""
        try:
            async for image in self._images:
                item = await prepare_async(image, self._position)
                self._position += 1
                if item.message is None:
                    self._unusable.append(item)
                    continue
                await self._places.acquire()
                self._state.sent(item)
                return [item]
        except Exception as error:
            # The caller's iterator failed, in a task where nobody would see it: kept for the caller.
            self._source_error = error
        self._all_taken = True
        return []

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
