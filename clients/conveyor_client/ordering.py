"""The bookkeeping of a stream, without threads or tasks: what is under way, and whose turn it is to be given back."""

from conveyor.v1 import classifier_pb2
from conveyor_client.errors import ConveyorClientError, ServerError
from conveyor_client.requests import Prepared
from conveyor_client.results import Classification, read_stream_answer

_NAMES_SHOWN = 3


class StreamState:
    """Takes answers as they come and gives back those whose turn it is; knows what is still unanswered.

    With ordered=False each is given back at once.
    """

    def __init__(self, *, ordered: bool) -> None:
        self._ordered = ordered
        self._held: dict[int, Classification] = {}
        self._next = 0
        self._unanswered: dict[int, Prepared] = {}

    def sent(self, item: Prepared) -> None:
        """Notes an item that is about to be sent; it is kept until it is answered."""
        self._unanswered[item.position] = item

    def unanswered_after(self, position: int) -> list[Prepared]:
        """What a call that has sent everything up to this position has still to send, in order."""
        return [item for item in list(self._unanswered.values()) if item.position > position]

    @property
    def all_answered(self) -> bool:
        """Whether everything that was sent has its answer."""
        return not self._unanswered

    def answered(self, response: classifier_pb2.ClassifyStreamResponse) -> Classification:
        """Reads an answer. Raises ServerError for an item that was never sent, or was answered before."""
        item = self._unanswered.pop(response.item_id, None)
        if item is None:
            raise ServerError(f"the server answered item {response.item_id}, which was not under way")
        return read_stream_answer(response, item)

    def turn(self, outcome: Classification) -> list[Classification]:
        """The outcomes that may be given to the reader now, the new one perhaps among them."""
        if not self._ordered:
            return [outcome]
        self._held[outcome.index] = outcome
        ready = []
        while self._next in self._held:
            ready.append(self._held.pop(self._next))
            self._next += 1
        return ready

    def end(self, cause: ConveyorClientError | None) -> ConveyorClientError | None:
        """The exception for a stream that has ended so: None if all went well, else one that names what is missing."""
        if not self._unanswered:
            return cause
        names = [item.name for item in self._unanswered.values()]
        more = ", ..." if len(names) > _NAMES_SHOWN else ""
        missing = f"{len(names)} of the images sent were not answered: {', '.join(names[:_NAMES_SHOWN])}{more}"
        if cause is None:
            return ServerError(f"the server ended the stream early; {missing}")
        return type(cause)(f"{cause}; {missing}")
