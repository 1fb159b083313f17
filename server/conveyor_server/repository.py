"""The models of a folder, NAME/VERSION/model.onnx: which there are, which are loaded, which one answers.

The newest version that loads and proves itself serves. One that fails is kept in the index with the reason, and
never replaces another.
"""

from __future__ import annotations

import asyncio
import difflib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from conveyor.v1 import classifier_pb2
from conveyor_contract.errors import ConveyorError
from conveyor_server.errors import ErrorKind, ServingError, StartError
from conveyor_server.loading import LoadOptions, load_model
from conveyor_server.model import Model

log = logging.getLogger(__name__)

MODEL_FILE = "model.onnx"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One version in the index. `model` is there exactly when the state is READY."""

    name: str
    version: int
    path: Path
    state: classifier_pb2.ModelState.ValueType
    reason: str = ""
    model: Model | None = None

    def status(self) -> classifier_pb2.ModelStatus:
        """What callers are told of it."""
        return classifier_pb2.ModelStatus(
            model_name=self.name,
            model_version=str(self.version),
            state=self.state,
            reason=self.reason,
            file_digest=self.model.file_digest if self.model else "",
            provider=self.model.provider if self.model else "",
        )


def scan(root: Path) -> dict[str, dict[int, Path]]:
    """The model files of a repository by name and version. Dot-folders and folders without a model do not count."""
    found: dict[str, dict[int, Path]] = {}
    for path in sorted(root.glob(f"*/*/{MODEL_FILE}")):
        version, name = path.parent.name, path.parent.parent.name
        if name.startswith(".") or not is_version(version):
            continue
        found.setdefault(name, {})[int(version)] = path
    return found


def is_version(text: str) -> bool:
    """True for a positive whole number in plain digits."""
    return text.isascii() and text.isdecimal() and not text.startswith("0")


class Repository:
    """The index of models. Belongs to the event loop's thread."""

    def __init__(self, root: Path, options: LoadOptions) -> None:
        if not root.is_dir():
            raise StartError(
                f"the repository {root} is not a folder; give the folder that holds NAME/VERSION/{MODEL_FILE}."
            )
        self._root = root
        self._options = options
        # Called after every change of the index.
        self.changed: Callable[[], None] | None = None
        self._entries: dict[str, dict[int, Entry]] = {}
        # The version that answers when none is asked for.
        self._serving: dict[str, Model] = {}

    async def load_all(self) -> None:
        """Loads the newest version of each model that can be served."""
        files = await asyncio.to_thread(scan, self._root)
        for name, versions in files.items():
            for version, path in versions.items():
                self._put(Entry(name=name, version=version, path=path, state=classifier_pb2.MODEL_STATE_LOADING))
        for name, versions in files.items():
            await self._load_newest(name, versions)

    async def _load_newest(self, name: str, versions: Mapping[int, Path]) -> None:
        for version in sorted(versions, reverse=True):
            path = versions[version]
            if name in self._serving:
                serving = self._serving[name].version
                self._put(_unavailable(name, version, path, f"not loaded: version {serving} serves"))
                continue
            try:
                model = await load_model(path, name, version, self._options)
            except ConveyorError as error:
                log.error("cannot serve model=%s version=%d: %s", name, version, error)
                self._put(_unavailable(name, version, path, str(error)))
            except Exception:
                log.exception("cannot serve model=%s version=%d", name, version)
                self._put(_unavailable(name, version, path, "an unexpected error; the server's log has it"))
            else:
                self._serving[name] = model
                state = classifier_pb2.MODEL_STATE_READY
                self._put(Entry(name=name, version=version, path=path, state=state, model=model))

    def find(self, name: str, version: str) -> Model:
        """The model that answers; an empty version means the one that serves. Raises ServingError: NOT_FOUND..."""
        model = self._serving.get(name)
        if model is not None and not version:
            return model
        entry = self.entry(name, version)
        if entry.model is None:
            reason = entry.reason or "it is being loaded"
            raise ServingError(ErrorKind.NOT_READY, f"model {name!r} version {entry.version} is not ready: {reason}")
        return entry.model

    def entry(self, name: str, version: str) -> Entry:
        """The index's entry; for an empty version the one that serves, else the newest. Raises ServingError."""
        versions = self._entries.get(name)
        if not versions:
            raise ServingError(ErrorKind.NOT_FOUND, self._unknown(name))
        if not version:
            serving = self._serving.get(name)
            return versions[serving.version if serving else max(versions)]
        if not is_version(version):
            message = f"model version {version!r} is not a positive whole number, as 1"
            raise ServingError(ErrorKind.INVALID_ARGUMENT, message)
        if int(version) not in versions:
            there = ", ".join(str(number) for number in sorted(versions))
            raise ServingError(ErrorKind.NOT_FOUND, f"model {name!r} has no version {version}; it has {there}")
        return versions[int(version)]

    def entries(self) -> Iterator[Entry]:
        """Every version, by name and then by version."""
        for name in sorted(self._entries):
            for version in sorted(self._entries[name]):
                yield self._entries[name][version]

    def serving(self) -> Mapping[str, Model]:
        """The models that answer, by name."""
        return self._serving

    def why_not(self, name: str) -> str:
        """Why a model does not serve, for a person."""
        if name not in self._entries:
            return self._unknown(name)
        return "; ".join(f"version {entry.version}: {entry.reason}" for entry in self._entries[name].values())

    def close(self) -> None:
        """Ends every model's threads; who still waits is refused."""
        for model in self._serving.values():
            model.batcher.close()

    def _put(self, entry: Entry) -> None:
        self._entries.setdefault(entry.name, {})[entry.version] = entry
        if self.changed is not None:
            self.changed()

    def _unknown(self, name: str) -> str:
        if not name:
            return "the request names no model; set model_name"
        nearest = difflib.get_close_matches(name, self._entries, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"this server has: {', '.join(sorted(self._entries))}"
        return f"there is no model {name!r}; {hint if self._entries else 'the repository is empty'}"


def _unavailable(name: str, version: int, path: Path, reason: str) -> Entry:
    state = classifier_pb2.MODEL_STATE_UNAVAILABLE
    return Entry(name=name, version=version, path=path, state=state, reason=reason)
