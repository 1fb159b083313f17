"""What was decided about traffic, in a file that outlives the server (`--traffic-state`)."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from conveyor_contract.atomic import write_atomically
from conveyor_contract.digests import sha256_of_parts
from conveyor_server.errors import StartError
from conveyor_server.folder import MODEL_FILE
from conveyor_server.traffic.configured import parse_rule
from conveyor_server.traffic.rule import Rule
from conveyor_server.traffic.state import TrafficState

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from conveyor_server.settings import ServerSettings

log = logging.getLogger(__name__)

_PART_BYTES: Final = 1024 * 1024

# The digest of a version's file as it is now; empty where there is none.
DigestOf = Callable[[str, int], str]


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """What was decided of one model, and what was configured then."""

    configured: Rule | None
    state: TrafficState


@dataclass(frozen=True, kw_only=True)
class _Book:
    """The file's content."""

    models: Mapping[str, _Kept]
    schema_version: Literal[1] = 1


class TrafficMemory:
    """What a server begins with, and what it keeps of its decisions. Of the process that decides, and its loop."""

    def __init__(self, path: Path | None, configured: Mapping[str, Rule], digest_of: DigestOf) -> None:
        """Without a path nothing is kept. Raises StartError for a file that cannot be read, or not be written."""
        self._path = path
        self._configured = configured
        self._digest_of = digest_of
        self._kept: Mapping[str, _Kept] = {}
        self._unwritten: dict[str, _Kept] = {}
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self.states = self._begin()

    async def keep(self, name: str, state: TrafficState) -> None:
        """Writes a decision down. What cannot be written is logged, and holds as long as the server does."""
        if self._path is None:
            return
        # To its end, whatever becomes of the caller: an older decision must not be written after a newer one.
        task = asyncio.create_task(self._keep(self._path, name, state))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.shield(task)

    def _begin(self) -> dict[str, TrafficState]:
        if self._path is None:
            return {name: TrafficState(rule=rule, revision=1) for name, rule in self._configured.items()}
        try:
            kept = _read(self._path)
        except (OSError, ValueError) as error:
            raise StartError(
                f"the traffic state {self._path} cannot be read ({_reason_of(error)}); mend it, or move it away to "
                "begin as configured."
            ) from error
        states = {name: self._resolved(name, kept.get(name)) for name in sorted({*kept, *self._configured})}
        try:
            self._write(self._path, states)
        except OSError as error:
            raise StartError(
                f"the traffic state {self._path} cannot be written ({_reason_of(error)}); give a file in a "
                "folder that can be."
            ) from error
        return states

    def _resolved(self, name: str, kept: _Kept | None) -> TrafficState:
        rule, now = self._configured.get(name), time.time()
        if kept is None:
            return TrafficState(rule=rule, revision=1)
        state = kept.state
        if kept.configured != rule:
            log.warning("traffic model=%s is as configured, which has changed since %s", name, state.in_words())
            return state.cleared(now) if rule is None else state.with_rule(rule, now)
        if rule is not None and self._is_mended(name, rule, state):
            log.info("traffic model=%s is as configured: version %d was rolled back, and is mended", name, rule.trial)
            return state.with_rule(rule, now)
        if state.decisions:
            log.info("traffic model=%s is as it was last decided: %s", name, state.in_words())
        return state

    def _is_mended(self, name: str, rule: Rule, state: TrafficState) -> bool:
        """Whether the version on trial was rolled back, and has another file now."""
        last = state.decisions[-1] if state.decisions else None
        if last is None or last.step != "rolled_back" or rule.trial is None or rule.trial != last.trial:
            return False
        found = self._digest_of(name, rule.trial)
        return "" not in (last.file, found) and last.file != found

    async def _keep(self, path: Path, name: str, state: TrafficState) -> None:
        async with self._writing:
            try:
                await asyncio.to_thread(self._write, path, {name: state})
            except OSError as error:
                log.error("traffic model=%s was changed, and %s cannot be written: %s", name, path, _reason_of(error))

    def _write(self, path: Path, states: Mapping[str, TrafficState]) -> None:
        try:
            # Another server may share the file.
            there = _read(path)
        except (OSError, ValueError) as error:
            log.error("%s is written anew, as it cannot be read: %s", path, _reason_of(error))
            there = self._kept
        for name, state in states.items():
            self._unwritten[name] = _Kept(configured=self._configured.get(name), state=state)
        self._kept = {**there, **self._unwritten}
        content = _adapter().dump_python(_Book(models=self._kept), mode="json")
        write_atomically(path, json.dumps(content, indent=1).encode() + b"\n")
        self._unwritten.clear()


def memory_of(settings: ServerSettings, *, decides: bool) -> TrafficMemory:
    """As the settings say. A worker, whose parent decides, keeps nothing."""
    path = settings.traffic_state if decides else None
    digest_of = partial(_digest_of_file, settings.repository)
    return TrafficMemory(path, dict(map(parse_rule, settings.traffic)), digest_of)


def _read(path: Path) -> Mapping[str, _Kept]:
    """Raises OSError, or ValueError for what `_write` did not write."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    return _adapter().validate_json(content).models


def _reason_of(error: OSError | ValueError) -> str:
    """The first thing that is wrong, in a few words."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]


def _digest_of_file(repository: Path, name: str, version: int) -> str:
    try:
        with (repository / name / str(version) / MODEL_FILE).open("rb") as file:
            return sha256_of_parts(iter(partial(file.read, _PART_BYTES), b""))
    except OSError:
        return ""


@cache
def _adapter() -> TypeAdapter[_Book]:
    # Only here: most servers keep nothing, and start without.
    from pydantic import TypeAdapter

    return TypeAdapter(_Book)
