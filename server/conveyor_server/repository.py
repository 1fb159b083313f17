"""How the models of a folder come to serve, and cease to.

A change has two halves. `prepare` loads, warms and proves what is new, off to the side; `commit` swaps it in with one
pointer. What fails in the first half never replaces anything: the index keeps the reason.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path

from conveyor_contract.errors import ConveyorError
from conveyor_server.candidate import UNFINISHED, Candidate
from conveyor_server.entry import Entry, State, unavailable
from conveyor_server.errors import ErrorKind, ServingError, StartError
from conveyor_server.folder import (
    MODEL_FILE,
    RepositoryError,
    VersionFile,
    scan,
    settled_versions,
)
from conveyor_server.index import Index
from conveyor_server.loading import LoadOptions, load_model
from conveyor_server.model import Model
from conveyor_server.retirement import Retirement
from conveyor_server.shortening import shortened
from conveyor_server.version_policy import NEWEST, VersionPolicy

log = logging.getLogger(__name__)


class Repository(Index):
    """The index, and what changes it. Belongs to the event loop's thread."""

    def __init__(self, root: Path, options: LoadOptions, policy: VersionPolicy = NEWEST) -> None:
        if not root.is_dir():
            raise StartError(
                f"the repository {root} is not a folder; give the folder that holds NAME/VERSION/{MODEL_FILE}."
            )
        super().__init__()
        # Versions of a model that have to stay, whatever the policy says.
        self.needed: Callable[[str], Collection[int]] = lambda name: ()
        self._root = root
        self._options = options
        self._policy = policy
        self._retirement = Retirement(options.drain_timeout)
        # One preparation at a time.
        self._preparing = asyncio.Lock()

    @property
    def options(self) -> LoadOptions:
        """How models are loaded when nothing else is said."""
        return self._options

    async def load_all(self, only: Collection[str] | None = None) -> None:
        """Loads the versions that the policy chooses of every model, or of those in `only`; lists the others."""
        files = await asyncio.to_thread(scan, self._root)
        for name, versions in files.items():
            wanted = only is None or name in only
            for version, file in versions.items():
                entry = unavailable(name, version, file, "" if wanted else "not loaded")
                self._put(replace(entry, state=State.LOADING) if wanted else entry)
        self.is_known = True
        for name in files:
            if only is None or name in only:
                self.commit(await self.prepare(name, self._options))

    async def prepare(
        self, name: str, options: LoadOptions, *, reload: bool = False, policy: VersionPolicy | None = None
    ) -> Candidate:
        """Loads off to the side what a model's folder holds now, for `commit` or `abort`.

        Versions whose files did not change are kept as they are, and a version that cannot be served gives way to
        the next older one. With `reload` all is loaded anew, and the first failure is raised as a ServingError.
        """
        async with self._preparing:
            try:
                files = await settled_versions(self._root, name)
            except RepositoryError as error:
                reason = self._without_root(error)
                raise ServingError(ErrorKind.NOT_READY, f"failed to load '{shortened(name)}', {reason}") from error
            if not files:
                raise ServingError(
                    ErrorKind.NOT_FOUND, f"failed to load '{shortened(name)}', it is not in the model repository"
                )
            candidate = Candidate(name=name, files=files, models={}, kept=set(), failures={})
            try:
                await self._fill(candidate, options, policy or self._own_policy(name), reload)
            except BaseException as error:
                self.abort(candidate, str(error) or "the load was given up")
                raise
            return candidate

    def _own_policy(self, name: str) -> VersionPolicy:
        return self._policy.keeping(self.needed(name))

    async def _fill(self, candidate: Candidate, options: LoadOptions, policy: VersionPolicy, reload: bool) -> None:
        name = candidate.name
        versions = policy.candidates(candidate.files)
        if not versions:
            there = ", ".join(map(str, candidate.files))
            reason = f"the version policy wants none of its versions ({there})"
            raise ServingError(ErrorKind.INVALID_ARGUMENT, f"failed to load '{name}', {reason}")
        for version in versions:
            if not policy.wants(version, candidate.versions):
                continue
            known = self._entries.get(name, {}).get(version)
            await self._try(candidate, version, known, None if reload else candidate.files[version], options)
            if reload and version in candidate.failures:
                message = f"failed to load '{name}', {candidate.failures[version]}"
                raise ServingError(ErrorKind.INVALID_ARGUMENT, message)
            if version in candidate.failures and known is not None and known.model is not None:
                # The same version from an earlier file serves on.
                candidate.kept.add(version)

    async def _try(
        self,
        candidate: Candidate,
        version: int,
        known: Entry | None,
        unchanged: VersionFile | None,
        options: LoadOptions,
    ) -> None:
        """Loads one version into the candidate, or keeps what is known of the file where it is still the same."""
        if known is not None and known.file == unchanged and (known.model is not None or known.failed):
            if known.model is not None:
                candidate.kept.add(version)
            else:
                candidate.failures[version] = known.reason
            return
        name, file = candidate.name, candidate.files[version]
        if known is None or known.model is None:
            self._put(replace(unavailable(name, version, file, ""), state=State.LOADING))
        try:
            if not file.is_settled():
                candidate.failures[version] = UNFINISHED
                return
            candidate.models[version] = await load_model(file.path, name, version, options)
        except ConveyorError as error:
            log.error("cannot serve model=%s version=%d: %s", name, version, error)
            candidate.failures[version] = self._without_root(error)
        except Exception:
            log.exception("cannot serve model=%s version=%d", name, version)
            candidate.failures[version] = "an unexpected error; the server's log has it"

    def _without_root(self, error: Exception) -> str:
        """Callers are told what is wrong with a file, and not where on the machine it is; the log has that."""
        return str(error).replace(f"{self._root}{os.sep}", "").replace(str(self._root), "the repository")

    def commit(self, candidate: Candidate) -> None:
        """Lets the candidate's versions serve, and retires those that it does not keep."""
        name = candidate.name
        models, known = candidate.models, self._entries.get(name, {})
        stay = candidate.kept - models.keys()
        self._point(name, {v: model for v, model in self._ready(name).items() if v in stay} | models)
        self._give_up_suspended(name)
        for version, entry in list(known.items()):
            if entry.model is not None and version not in stay:
                self._retire(entry, self._why_not_chosen(name))
        for version, model in models.items():
            file = candidate.files[version]
            self._put(Entry(name=name, version=version, file=file, state=State.READY, model=model))
        self._list_others(candidate)

    def abort(self, candidate: Candidate, reason: str, failures: Mapping[int, str] | None = None) -> None:
        """Drops what was loaded; what served before goes on, and the index says why.

        `failures` are versions that cannot be served elsewhere, with why. What was loaded here and has no fault is
        tried again at the next occasion.
        """
        for model in candidate.models.values():
            model.batcher.close()
        faults = {version: why for version, why in (failures or {}).items() if version in candidate.models}
        dropped = candidate.models.keys() - faults.keys()
        candidate.failures.update({version: reason for version in dropped} | faults)
        candidate.models.clear()
        self._list_others(candidate, dropped)

    def _list_others(self, candidate: Candidate, dropped: Collection[int] = ()) -> None:
        """The versions that do not come with this candidate: failed, not wanted, or gone from the folder."""
        name = candidate.name
        for version, file in candidate.files.items():
            known, reason = self._entries.get(name, {}).get(version), candidate.failures.get(version)
            if known is not None and known.state in (State.READY, State.UNLOADING):
                if reason is not None:
                    self._put(replace(known, reason=reason))
            elif reason is not None:
                failed = reason != UNFINISHED and version not in dropped
                self._put(replace(unavailable(name, version, file, reason), failed=failed))
            elif known is None or not known.failed:
                self._put(unavailable(name, version, file, self._why_not_chosen(name)))
        for version, entry in list(self._entries.get(name, {}).items()):
            if version not in candidate.files and entry.state == State.UNAVAILABLE:
                del self._entries[name][version]

    def _why_not_chosen(self, name: str) -> str:
        serving = self._serving.get(name)
        return f"not loaded: version {serving.version} serves" if serving else "not loaded"

    async def unload(self, name: str) -> None:
        """From now on the model does not answer; what it accepted it finishes. Raises ServingError if unknown."""
        async with self._preparing:
            if name not in self._entries:
                raise ServingError(
                    ErrorKind.NOT_FOUND, f"failed to unload '{shortened(name)}', it is not in the model repository"
                )
            self._point(name, {})
            self._give_up_suspended(name)
            for entry in list(self._entries[name].values()):
                if entry.model is not None:
                    self._retire(entry, "unloaded")
                elif entry.state != State.UNLOADING:
                    self._put(replace(entry, state=State.UNAVAILABLE, reason=entry.reason or "unloaded"))

    def suspend(self, model: Model, reason: str) -> None:
        """The model is not ready for the time being; what it was given, it has."""
        self._suspended.add(model)
        entry = self._entries[model.name][model.version]
        self._put(replace(entry, state=State.UNAVAILABLE, model=None, reason=reason))
        self._point(model.name, self._ready(model.name))

    def resume(self, model: Model) -> None:
        """A suspended model is ready again."""
        self._suspended.remove(model)
        entry = self._entries[model.name][model.version]
        self._put(replace(entry, state=State.READY, model=model, reason=""))
        self._point(model.name, self._ready(model.name))

    def _give_up_suspended(self, name: str) -> None:
        for model in [model for model in self._suspended if model.name == name]:
            self._suspended.remove(model)
            self._retirement.add(model, lambda version: None)

    def _retire(self, entry: Entry, reason: str) -> None:
        assert entry.model is not None
        self._put(replace(entry, state=State.UNLOADING, model=None, reason=reason))

        def done(version: int) -> None:
            now = self._entries.get(entry.name, {}).get(version)
            if now is not None and now.state == State.UNLOADING:
                self._put(unavailable(now.name, version, now.file, reason))

        self._retirement.add(entry.model, done)

    def close(self) -> None:
        """Ends every model's threads; who still waits is refused."""
        self._retirement.close()
        for model in [*self._suspended, *(entry.model for entry in self.entries() if entry.model is not None)]:
            model.batcher.close()
