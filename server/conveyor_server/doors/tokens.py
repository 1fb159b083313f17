"""The tokens that open groups of methods: read from files and from the environment, kept as digests only."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from conveyor_server.errors import StartError
from conveyor_server.groups import Group

# One token each, beside those of the files; not settings, which are flags too, and flags are seen by everybody.
VARIABLES: Final = {
    Group.INFERENCE: "CONVEYOR_SERVE_INFERENCE_TOKEN",
    Group.ADMIN: "CONVEYOR_SERVE_ADMIN_TOKEN",
    Group.METRICS: "CONVEYOR_SERVE_METRICS_TOKEN",
}
_OPENS: Final = {
    Group.INFERENCE: frozenset({Group.INFERENCE}),
    Group.METRICS: frozenset({Group.METRICS}),
    # Whoever may change everything may also ask.
    Group.ADMIN: frozenset({Group.INFERENCE, Group.METRICS, Group.ADMIN}),
}
_BEARER: Final = "bearer "
_COMMENT: Final = "#"
# Of this process.
_KEY: Final = secrets.token_bytes(32)

# Of each token.
Digest = bytes


class Tokens:
    """The tokens that are known now. None of them can be had back from this object."""

    def __init__(self, files: Mapping[Group, Path], environment: Mapping[str, str]) -> None:
        """Raises StartError for a file that cannot be read, or a token that cannot be sent."""
        self._files = files
        self._fixed = {
            group: [_digest(_checked(environment[name], f"the variable {name}"))]
            for group, name in VARIABLES.items()
            if environment.get(name)
        }
        # Groups that nobody enters without a token.
        self.closed = frozenset({*files, *self._fixed})
        self._known = self._read()

    @property
    def paths(self) -> Sequence[Path]:
        """The files."""
        return list(self._files.values())

    def reload(self) -> None:
        """Reads the files again. Raises StartError, and what was known stays known."""
        self._known = self._read()

    def opened_by(self, digest: Digest) -> frozenset[Group]:
        """The groups that a token opens: none for an unknown one. Takes as long for a wrong one as for a right one."""
        opened: frozenset[Group] = frozenset()
        for known, groups in self._known:
            if hmac.compare_digest(known, digest):
                opened |= groups
        return opened

    def _read(self) -> list[tuple[Digest, frozenset[Group]]]:
        read = {group: _tokens_in(path) for group, path in self._files.items()}
        return [(digest, _OPENS[group]) for kept in (self._fixed, read) for group in kept for digest in kept[group]]


def digest_in(metadata: Mapping[str, str | bytes]) -> Digest | None:
    """Of the token that a caller sends: `authorization: Bearer TOKEN`, else `x-api-key: TOKEN`; None without one."""
    given = metadata.get("authorization")
    if isinstance(given, str) and given[: len(_BEARER)].lower() == _BEARER:
        return _digest(given[len(_BEARER) :].strip())
    key = metadata.get("x-api-key")
    return _digest(key.strip()) if isinstance(key, str) else None


def _tokens_in(path: Path) -> list[Digest]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise StartError(f"the token file {path} is not text; write one token a line.") from None
    except OSError as error:
        raise StartError(f"the token file {path} cannot be read ({error.strerror}).") from error
    digests = [
        _digest(_checked(line, f"line {number} of the token file {path}"))
        for number, line in enumerate(map(str.strip, text.splitlines()), start=1)
        if line and not line.startswith(_COMMENT)
    ]
    if not digests:
        raise StartError(f"the token file {path} holds no token; write one a line.")
    return digests


def _checked(token: str, where: str) -> str:
    # Never with the token in the message: it may be nearly right.
    if not token.isascii() or not token.isprintable() or " " in token:
        raise StartError(f"{where} cannot be sent in a header; a token is visible ASCII characters, without spaces.")
    return token


def _digest(token: str) -> Digest:
    # Keyed, so that what is kept is of no use elsewhere; and several times as quick as SHA-256.
    return hashlib.blake2b(token.encode("utf-8", "surrogateescape"), key=_KEY, digest_size=32).digest()
