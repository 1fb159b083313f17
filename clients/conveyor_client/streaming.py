"""The synchronous stream: gRPC pulls requests in a thread of its own while the caller reads answers."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import grpc

from conveyor.v1 import classifier_pb2, classifier_pb2_grpc
from conveyor_client.errors import ConveyorClientError
from conveyor_client.ordering import StreamState
from conveyor_client.requests import STREAM_WINDOW, Ask, Prepared, prepare, stream_request
from conveyor_client.results import Classification, failed
from conveyor_client.statuses import call_failure

if TYPE_CHECKING:
    from conveyor_client.images import ImageLike


class Stream:
    """One ClassifyStream call. At most STREAM_WINDOW images are under way: sent, and not yet given to the reader."""

    def __init__(self, images: "Iterable[ImageLike]", ask: Ask, *, ordered: bool) -> None:
        self._images = images
        self._ask = ask
        self._state = StreamState(ordered=ordered)
        self._places = threading.Semaphore(STREAM_WINDOW)
        self._closed = False
        self._unusable: queue.SimpleQueue[Prepared] = queue.SimpleQueue()  # never sent, so they hold no place
        self._unsent: set[int] = set()
        self._source_error: Exception | None = None

    def run(
        self, stub: classifier_pb2_grpc.ClassifierServiceStub, address: str, timeout: float | None
    ) -> Iterator[Classification]:
        """Yields the outcomes. Raises what the images' iterator raised, or the call's failure, after them."""
        call = stub.ClassifyStream(self._requests(), timeout=timeout)
        cause: ConveyorClientError | None = None
        try:
            for response in call:
                yield from self._give_unusable()
                yield from self._give(self._state.answered(response))
        except grpc.RpcError as error:
            cause = call_failure(error, address)
        finally:
            self._closed = True
            self._places.release()  # the sender may be waiting for a place
            call.cancel()
        yield from self._give_unusable()
        if self._source_error is not None:
            raise self._source_error
        failure = self._state.end(cause)
        if failure is not None:
            raise failure

    def _requests(self) -> Iterator[classifier_pb2.ClassifyStreamRequest]:
        """Runs in gRPC's thread."""
        first = True
        try:
            for position, image in enumerate(self._images):
                item = prepare(image, position)
                if item.message is None:
                    self._unusable.put(item)
                    continue
                self._places.acquire()
                if self._closed:
                    return
                self._state.sent(item)
                yield stream_request(self._ask, item, first=first)
                first = False
        except Exception as error:
            # The caller's iterator failed, in a thread where nobody would see it: kept for the caller.
            self._source_error = error

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
