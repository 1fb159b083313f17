"""What must not be shared between a process and its forks, such as a connection."""

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """A thing that is made at its first use in each process. `make` is told whether another process had one before.

    A fork leaves the thing of its parent alone: closing it would write to the parent's socket.
    """

    def __init__(self, make: Callable[[bool], T]) -> None:
        self._make = make
        self._made: dict[int, T] = {}
        self._lock = threading.Lock()

    def get(self) -> T:
        """This process's own."""
        made = self._made.get(os.getpid())
        return self._make_once() if made is None else made

    def made(self) -> T | None:
        """This process's own, if it was ever used."""
        return self._made.get(os.getpid())

    def _make_once(self) -> T:
        with self._lock:
            if os.getpid() not in self._made:
                self._made[os.getpid()] = self._make(bool(self._made))
            return self._made[os.getpid()]
