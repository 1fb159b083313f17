"""Which models there are, in which state, and which one answers: what callers and health see of the repository."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from conveyor_server.entry import Entry
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.folder import is_version
from conveyor_server.model import Model
from conveyor_server.shortening import shortened

# Characters of a name for which a similar one is looked for.
MAX_COMPARED: Final = 256

Choose = Callable[[str, Mapping[int, Model]], Model | None]


def newest(name: str, ready: Mapping[int, Model]) -> Model | None:
    """The newest of a model's versions, if there is any."""
    return ready[max(ready)] if ready else None


class Index:
    """Every version of every model. Belongs to the event loop's thread."""

    def __init__(self) -> None:
        # Called after every change.
        self.changed: Callable[[], None] | None = None
        # Which of the versions that are ready answers when none is asked for; None where none of them may.
        self.choose: Choose = newest
        # Whether the repository was looked at once: before, nobody knows what there is.
        self.is_known = False
        self._entries: dict[str, dict[int, Entry]] = {}
        # The chosen ones.
        self._serving: dict[str, Model] = {}
        # Models that were ready, and whose runs hang.
        self._suspended: set[Model] = set()

    def find(self, name: str, version: str) -> Model:
        """The model that answers; an empty version means the one that serves. Raises ServingError: NOT_FOUND..."""
        model = self._serving.get(name)
        if model is not None and not version:
            return model
        entry = self.entry(name, version)
        if not version and entry.model is not None:
            message = f"model {name!r} is not ready: its stable version is not; name another version to use that"
            raise ServingError(ErrorKind.NOT_READY, message)
        if entry.model is None:
            reason = entry.reason or "it is being loaded"
            raise ServingError(ErrorKind.NOT_READY, f"model {name!r} version {entry.version} is not ready: {reason}")
        return entry.model

    def entry(self, name: str, version: str) -> Entry:
        """The index's entry; for an empty version the one that serves, else the newest. Raises ServingError."""
        versions = self._entries.get(name)
        if not versions:
            if not self.is_known:
                raise ServingError(ErrorKind.NOT_READY, "the server is starting and does not know its models yet")
            raise ServingError(ErrorKind.NOT_FOUND, self._unknown(name))
        if not version:
            serving = self._serving.get(name)
            return versions[serving.version if serving else max(versions)]
        if not is_version(version):
            message = f"model version {shortened(version)!r} is not a positive whole number, as 1"
            raise ServingError(ErrorKind.INVALID_ARGUMENT, message)
        if int(version) not in versions:
            there = ", ".join(str(number) for number in sorted(versions))
            raise ServingError(ErrorKind.NOT_FOUND, f"model {name!r} has no version {version}; it has {there}")
        return versions[int(version)]

    def entries(self) -> Iterator[Entry]:
        """Every version, by name and then by version."""
        for name in sorted(self._entries):
            yield from self.entries_of(name)

    def entries_of(self, name: str) -> list[Entry]:
        """The versions of one model, ascending."""
        versions = self._entries.get(name, {})
        return [versions[version] for version in sorted(versions)]

    def serving(self) -> Mapping[str, Model]:
        """The models that answer, by name."""
        return self._serving

    def served_versions(self) -> dict[str, list[int]]:
        """The versions that answer of each model, ascending."""
        names = {entry.name for entry in self.entries() if entry.model}
        return {
            name: [entry.version for entry in self.entries() if entry.name == name and entry.model] for name in names
        }

    def why_not(self, name: str) -> str:
        """Why a model does not serve, for a person."""
        if name not in self._entries:
            return self._unknown(name)
        return "; ".join(f"version {entry.version}: {entry.reason}" for entry in self._entries[name].values())

    def suspended(self) -> list[Model]:
        """The models that wait to be resumed, or replaced."""
        return list(self._suspended)

    def choose_again(self, name: str) -> None:
        """Whoever chooses would choose otherwise now."""
        self._point(name, self._ready(name))

    def _ready(self, name: str) -> dict[int, Model]:
        return {v: entry.model for v, entry in self._entries.get(name, {}).items() if entry.model is not None}

    def _point(self, name: str, ready: Mapping[int, Model]) -> None:
        """The one pointer that decides which version answers."""
        chosen = self.choose(name, ready)
        if chosen is not None:
            self._serving[name] = chosen
        else:
            self._serving.pop(name, None)
        if self.changed is not None:
            self.changed()

    def _put(self, entry: Entry) -> None:
        self._entries.setdefault(entry.name, {})[entry.version] = entry
        if self.changed is not None:
            self.changed()

    def _unknown(self, name: str) -> str:
        if not name:
            return "the request names no model; set model_name"
        # Comparing takes time, which a long name that is nobody's own does not deserve.
        nearest = difflib.get_close_matches(name, self._entries, n=1) if len(name) <= MAX_COMPARED else []
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"this server has: {', '.join(sorted(self._entries))}"
        return f"there is no model {shortened(name)!r}; {hint if self._entries else 'the repository is empty'}"
