"""Requests told by their bytes: what a caller sends with every request is read once, and afterwards only compared.

A *form* is a request without its last field, a tensor's content. Requests of a known form differ in nothing else, so
they mean the same, and need not be parsed. Whoever learns a form says what it means.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, NamedTuple, TypeVar

from google.protobuf.message import DecodeError

Meaning = TypeVar("Meaning")

# Bytes. A request with more around its content is not the usual one; with more content, parsing is not what it costs.
# So what callers send can neither fill the memory nor keep us busy here.
MAX_START: Final = 1024
MAX_CONTENT: Final = 1024 * 1024
# Forms that are kept, in all and of one length; with more, they are forgotten, and those in use are learnt again.
MAX_FORMS: Final = 256
MAX_ALIKE: Final = 8
_INVERTED: Final = bytes(255 - byte for byte in range(256))


class Form(NamedTuple, Generic[Meaning]):
    """What stands before the content, and what it says."""

    start: bytes
    meaning: Meaning


class RequestForms(Generic[Meaning]):
    """The known forms of one method's requests."""

    def __init__(self) -> None:
        # By the length of the whole request: nearly always one form has it.
        self._by_length: dict[int, list[Form[Meaning]]] = {}
        self._count = 0

    def find(self, payload: bytes) -> Form[Meaning] | None:
        """The form of a request; None for one that must be parsed."""
        for form in self._by_length.get(len(payload), ()):
            if payload.startswith(form.start):
                return form
        return None

    def learn(self, payload: bytes, content: bytes, content_of: Callable[[bytes], bytes], meaning: Meaning) -> None:
        """Keeps the form of a request whose field has this content; `content_of` parses a request and gives the field.

        Nothing is guessed: another content in the same place must be read back as just that.
        """
        start = payload[: len(payload) - len(content)]
        if not 0 < len(content) <= MAX_CONTENT or len(start) > MAX_START or not payload.endswith(content):
            return
        if self.find(payload) is None and _is_read_back(start, content.translate(_INVERTED), content_of):
            self._keep(len(payload), Form(start, meaning))

    def _keep(self, length: int, form: Form[Meaning]) -> None:
        if self._count >= MAX_FORMS:
            self._by_length.clear()
            self._count = 0
        alike = self._by_length.setdefault(length, [])
        if len(alike) >= MAX_ALIKE:
            self._count -= len(alike)
            alike.clear()
        alike.append(form)
        self._count += 1


def _is_read_back(start: bytes, content: bytes, content_of: Callable[[bytes], bytes]) -> bool:
    try:
        return content_of(start + content) == content
    except DecodeError:
        return False
