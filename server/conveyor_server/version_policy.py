"""Which versions of a model are to be served: `latest:N`, `all` or `specific:1,3`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

_FORMS: Final = "latest:N, all or specific:1,3"


@dataclass(frozen=True, kw_only=True)
class VersionPolicy:
    """At most `limit` versions, the newest first; of those in `only`, if it is given. Those in `kept` come on top."""

    limit: int | None = None
    only: frozenset[int] | None = None
    kept: frozenset[int] = frozenset()

    def keeping(self, versions: Collection[int]) -> VersionPolicy:
        """The same, and these versions as well."""
        return replace(self, kept=frozenset(versions)) if versions else self

    def candidates(self, versions: Collection[int]) -> list[int]:
        """The versions that may be served, in the order in which they are tried."""
        return sorted((v for v in versions if self.only is None or v in self.only or v in self.kept), reverse=True)

    def wants(self, version: int, chosen: Collection[int]) -> bool:
        """Whether this candidate is wanted beside those that are chosen already."""
        return version in self.kept or self.limit is None or len(chosen) < self.limit


NEWEST: Final = VersionPolicy(limit=1)


def parse_policy(text: str) -> VersionPolicy:
    """Reads a policy. Raises ValueError, saying what is expected."""
    kind, _, argument = text.partition(":")
    if kind == "all" and not argument:
        return VersionPolicy()
    if kind == "latest" and (limit := _number(argument)):
        return VersionPolicy(limit=limit)
    if kind == "specific":
        numbers = [_number(part) for part in argument.split(",")]
        if all(numbers):
            return VersionPolicy(only=frozenset(numbers))
    raise ValueError(f"{text!r} is no version policy; expected {_FORMS}")


def only_versions(versions: Collection[int]) -> VersionPolicy:
    """Exactly these."""
    return VersionPolicy(only=frozenset(versions))


def _number(text: str) -> int:
    """A positive whole number; 0 for anything else."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() else 0
