"""The synchronous stream: gRPC pulls requests in a thread of its own while the caller reads answers.

A call that breaks is followed by another, which first sends what the one before it left unanswered.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

import grpc

from conveyor.v1 import classifier_pb2
from conveyor_client.attempts import Attempts, pushback
from conveyor_client.errors import ConveyorClientError
from conveyor_client.ordering import StreamState
from conveyor_client.requests import STREAM_WINDOW, Ask, Prepared, prepare, stream_request
from conveyor_client.results import Classification, failed
from conveyor_client.statuses import call_failure, status_code

if TYPE_CHECKING:
    from conveyor_client.images import ImageLike

StreamRequests = Iterator[classifier_pb2.ClassifyStreamRequest]


class StreamCall(Protocol):
    """What is used of gRPC's call: its answers, and its end."""

    def __iter__(self) -> Iterator[classifier_pb2.ClassifyStreamResponse]: ...

    def cancel(self) -> object: ...


# Begins a call with these requests; its timeout in seconds.
OpenCall = Callable[[StreamRequests, float | None], StreamCall]


class Stream:
    """One stream of images. At most STREAM_WINDOW are under way: sent, and not yet given to the reader."""

    def __init__(self, images: "Iterable[ImageLike]", ask: Ask, *, ordered: bool) -> None:
        self._images = enumerate(images)
        self._ask = ask
        self._state = StreamState(ordered=ordered)
        self._places = threading.Semaphore(STREAM_WINDOW)
        self._taking = threading.Lock()
        self._all_taken = self._closed = False
        self._unusable: queue.SimpleQueue[Prepared] = queue.SimpleQueue()  # never sent, so they hold no place
        self._unsent: set[int] = set()
        self._source_error: Exception | None = None

    def run(self, open_call: OpenCall, address: str, attempts: Attempts) -> Iterator[Classification]:
        """Yields the outcomes. Raises what the images' iterator raised, or the last call's failure, after them."""
        cause: ConveyorClientError | None = None
        wait: float | None = 0.0
        try:
            while wait is not None:
                time.sleep(wait)
                try:
                    yield from self._read(open_call(self._requests(), attempts.remaining()), attempts)
                    cause = wait = None
                except grpc.RpcError as error:
                    cause = call_failure(error, address)
                    wait = None if self._done() else attempts.wait_after(status_code(error), pushback(error))
        finally:
            self._closed = True
            self._places.release()  # a sender may be waiting for a place
        yield from self._give_unusable()
        if self._source_error is not None:
            raise self._source_error
        failure = None if self._done() else self._state.end(cause)
        if failure is not None:
            raise failure

    def _read(self, call: StreamCall, attempts: Attempts) -> Iterator[Classification]:
        try:
            for response in call:
                attempts.answered()
                yield from self._give_unusable()
                yield from self._give(self._state.answered(response))
        finally:
            call.cancel()

    def _done(self) -> bool:
        return self._all_taken and self._state.all_answered

    def _requests(self) -> StreamRequests:
        """Runs in gRPC's thread, one call after the other; that of a broken call may still be in _take()."""
        last = -1
        left = self._state.unanswered_after(last)
        while True:
            for item in left:
                yield stream_request(self._ask, item, first=last < 0)
                last = item.position
            with self._taking:
                # What a broken call has taken meanwhile, and could not send any more, goes first.
                left = self._state.unanswered_after(last) or self._take()
            if not left:
                return

    def _take(self) -> list[Prepared]:
        """The next image that can be sent, once there is a place for it; none at the end."""
        try:
            for position, image in self._images:
                item = prepare(image, position)
                if item.message is None:
                    self._unusable.put(item)
                    continue
                self._places.acquire()
                if self._closed:
                    return []
                self._state.sent(item)
                return [item]
        except Exception as error:
            # The caller's iterator failed, in a thread where nobody would see it: kept for the caller.
            self._source_error = error
        self._all_taken = True
        return []

    def _give_unusable(self) -> Iterator[Classification]:
        while not self._unusable.empty():
            item = self._unusable.get()
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
