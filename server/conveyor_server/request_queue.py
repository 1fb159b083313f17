"""The requests that wait for one model, by priority, and within one priority in the order in which they came."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from conveyor_server.batch import BACKGROUND_PRIORITY, DEFAULT_PRIORITY, PendingRequest

# 1 goes first. A request of a lower priority waits for as long as there are others, or until its deadline.
PRIORITIES: Final = (1, DEFAULT_PRIORITY, 3)


class RequestQueue:
    """An ordered set per priority: requests leave at the front, and who gives up leaves from anywhere, at no cost."""

    def __init__(self) -> None:
        self._by_priority: dict[int, OrderedDict[PendingRequest, None]] = {
            priority: OrderedDict() for priority in (*PRIORITIES, BACKGROUND_PRIORITY)
        }
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __contains__(self, request: PendingRequest) -> bool:
        return request in self._by_priority[request.priority]

    def __iter__(self) -> Iterator[PendingRequest]:
        for requests in self._by_priority.values():
            yield from requests

    def add(self, request: PendingRequest) -> None:
        """Puts it behind the others of its priority."""
        self._by_priority[request.priority][request] = None
        self._length += 1

    def remove(self, request: PendingRequest) -> None:
        """Takes it out, wherever it stands."""
        del self._by_priority[request.priority][request]
        self._length -= 1

    def first(self) -> PendingRequest:
        """The one whose turn it is; only where there is one."""
        for requests in self._by_priority.values():
            if requests:
                return next(iter(requests))
        raise LookupError("nobody waits")

    def oldest_submission(self) -> float:
        """When the one that waits longest was submitted; only where there is one."""
        return min(next(iter(requests)).submitted_at for requests in self._by_priority.values() if requests)


def priority_of(wish: int) -> int:
    """A caller's wish as one of PRIORITIES; 0, and what is none of them, is the default."""
    return wish if wish in PRIORITIES else DEFAULT_PRIORITY
