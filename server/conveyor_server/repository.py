"""The models of a folder, NAME/VERSION/model.onnx: which there are, which are loaded, which one answers.

The newest version that loads and proves itself serves. One that fails is kept in the index with the reason, and
never replaces another.
"""

from __future__ import annotations

import asyncio
import difflib
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
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
        # Models that finish what they accepted before their place was taken.
        self._retiring: dict[asyncio.Task[None], Model] = {}
        self._control = asyncio.Lock()

    @property
    def options(self) -> LoadOptions:
        """How models are loaded when nothing else is said."""
        return self._options

    async def load_all(self, only: Collection[str] | None = None) -> None:
        """Loads the newest version that can be served of every model, or of those in `only`; lists the others."""
        async with self._control:
            files = await asyncio.to_thread(scan, self._root)
            for name, versions in files.items():
                wanted = only is None or name in only
                state = classifier_pb2.MODEL_STATE_LOADING if wanted else classifier_pb2.MODEL_STATE_UNAVAILABLE
                for version, path in versions.items():
                    reason = "" if wanted else "not loaded"
                    self._put(Entry(name=name, version=version, path=path, state=state, reason=reason))
            for name, versions in files.items():
                if only is None or name in only:
                    await self._load_newest(name, versions, self._options)

    async def load(self, name: str, options: LoadOptions) -> None:
        """Loads a model's newest version off to the side, then lets it take the place of the one that serves.

        Raises ServingError when it cannot be served; what served before goes on.
        """
        async with self._control:
            versions = (await asyncio.to_thread(scan, self._root)).get(name, {})
            if not versions:
                raise ServingError(ErrorKind.NOT_FOUND, f"failed to load '{name}', it is not in the model repository")
            self._forget_vanished(name, versions)
            before = self._serving.get(name)
            await self._load_newest(name, versions, options)
            serving, newest = self._serving.get(name), max(versions)
            if serving is None or serving is before or serving.version != newest:
                reason = self._entries[name][newest].reason
                raise ServingError(ErrorKind.INVALID_ARGUMENT, f"failed to load '{name}', {reason}")

    async def unload(self, name: str) -> None:
        """From now on the model does not answer; what it accepted it finishes. Raises ServingError if unknown."""
        async with self._control:
            if name not in self._entries:
                raise ServingError(ErrorKind.NOT_FOUND, f"failed to unload '{name}', it is not in the model repository")
            model = self._serving.pop(name, None)
            for entry in list(self._entries[name].values()):
                if entry.model is None:
                    self._put(_unavailable(name, entry.version, entry.path, entry.reason or "unloaded"))
            if model is not None:
                self._retire(model, "unloaded")

    async def _load_newest(self, name: str, versions: Mapping[int, Path], options: LoadOptions) -> None:
        for version in sorted(versions, reverse=True):
            model = await self._load_version(name, version, versions[version], options)
            if model is not None:
                self._swap_in(model, versions[version])
            if name in self._serving:
                # A candidate that failed never replaces it, nor does an older one.
                break
        serving = self._serving.get(name)
        for version, path in versions.items():
            known = self._entries[name].get(version)
            if serving is not None and (known is None or known.state == classifier_pb2.MODEL_STATE_LOADING):
                self._put(_unavailable(name, version, path, f"not loaded: version {serving.version} serves"))

    async def _load_version(self, name: str, version: int, path: Path, options: LoadOptions) -> Model | None:
        known = self._entries.get(name, {}).get(version)
        if known is None or known.model is None:
            self._put(Entry(name=name, version=version, path=path, state=classifier_pb2.MODEL_STATE_LOADING))
        try:
            return await load_model(path, name, version, options)
        except ConveyorError as error:
            log.error("cannot serve model=%s version=%d: %s", name, version, error)
            reason = str(error)
        except Exception:
            log.exception("cannot serve model=%s version=%d", name, version)
            reason = "an unexpected error; the server's log has it"
        if known is None or known.model is None:
            self._put(_unavailable(name, version, path, reason))
        else:
            # The same version from an earlier file serves on; the index says what came of the new file.
            self._put(replace(known, reason=reason))
        return None

    def _swap_in(self, model: Model, path: Path) -> None:
        replaced = self._serving.get(model.name)
        self._serving[model.name] = model
        if replaced is not None:
            self._retire(replaced, f"not loaded: version {model.version} serves")
        state = classifier_pb2.MODEL_STATE_READY
        self._put(Entry(name=model.name, version=model.version, path=path, state=state, model=model))

    def _retire(self, model: Model, reason: str) -> None:
        entry = self._entries[model.name][model.version]
        self._put(replace(entry, state=classifier_pb2.MODEL_STATE_UNLOADING, model=None, reason=reason))
        task = asyncio.create_task(self._finish(model, reason))
        self._retiring[task] = model
        task.add_done_callback(self._retiring.pop)

    async def _finish(self, model: Model, reason: str) -> None:
        try:
            async with asyncio.timeout(self._options.drain_timeout):
                await model.batcher.wait_idle()
        except TimeoutError:
            log.warning("unloading timed out model=%s version=%d", model.name, model.version)
        model.batcher.close()
        entry = self._entries[model.name].get(model.version)
        if entry is not None and entry.state == classifier_pb2.MODEL_STATE_UNLOADING:
            self._put(_unavailable(entry.name, entry.version, entry.path, reason))
        log.info("unloaded model=%s version=%d", model.name, model.version)

    def _forget_vanished(self, name: str, versions: Mapping[int, Path]) -> None:
        for version, entry in list(self._entries.get(name, {}).items()):
            if version not in versions and entry.state == classifier_pb2.MODEL_STATE_UNAVAILABLE:
                del self._entries[name][version]

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
        for task in self._retiring:
            task.cancel()
        for model in (*self._serving.values(), *self._retiring.values()):
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
