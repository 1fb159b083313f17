"""Requests told by their bytes: what a caller sends with every request is read once, and afterwards only compared.

A *form* is a request without the content of one field: its tensor, or its image. Requests of a known form differ in
nothing else, so they mean the same, and need not be parsed. Whoever learns a form says what it means.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, NamedTuple, TypeVar

from google.protobuf.message import DecodeError

Meaning = TypeVar("Meaning")

# Forms that are kept; with more than that, all are forgotten, and those in use are learnt again.
MAX_FORMS: Final = 256
_INVERTED: Final = bytes(255 - byte for byte in range(256))


class Form(NamedTuple, Generic[Meaning]):
    """What stands before the content, and behind it."""

    start: bytes
    end: bytes
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
            if payload.startswith(form.start) and payload.endswith(form.end):
                return form
        return None

    def learn(self, payload: bytes, content: bytes, content_of: Callable[[bytes], bytes], meaning: Meaning) -> None:
        """Keeps the form of a request whose field has this content; `content_of` parses a request and gives the field.

        Nothing is guessed: another content in the same place must be read back as just that.
        """
        position = payload.rfind(content)
        start, end = payload[:position], payload[position + len(content) :]
        other = content.translate(_INVERTED)
        try:
            proved = bool(content) and content_of(start + other + end) == other
        except DecodeError:
            proved = False
        if not proved:
            return
        if self._count >= MAX_FORMS:
            self._by_length.clear()
            self._count = 0
        self._by_length.setdefault(len(payload), []).append(Form(start, end, meaning))
        self._count += 1
