"""What a worker loads that joins a server which has served before."""

from __future__ import annotations

import logging

from conveyor_server.control import load_options_for
from conveyor_server.errors import ServingError, StartError
from conveyor_server.repository import Repository
from conveyor_server.version_policy import only_versions
from conveyor_server.workers.start import Pin, SharedState

log = logging.getLogger(__name__)


async def load_shared(repository: Repository, state: SharedState) -> None:
    """The same versions as before. Raises StartError where others serve them, and this worker cannot.

    One that is alone owes nobody likeness: what it cannot load it loads as the version policy says, or not at all.
    """
    await repository.load_all(only=())
    for name, pin in state.models.items():
        reason = await _load(repository, name, pin)
        if reason and not state.is_alone:
            raise StartError(f"a model that the other workers serve cannot be loaded: {reason}.")
        if reason:
            log.warning("model=%s is loaded as the version policy says, and not as it was before: %s", name, reason)
            await _load_afresh(repository, name, pin)


async def _load(repository: Repository, name: str, pin: Pin) -> str:
    """Why it does not serve as it did; empty when it does."""
    options, policy = load_options_for(repository, name, pin.config), only_versions(pin.versions)
    try:
        repository.commit(await repository.prepare(name, options, policy=policy))
    except ServingError as error:
        return str(error)
    return "" if repository.served_versions().get(name) == list(pin.versions) else repository.why_not(name)


async def _load_afresh(repository: Repository, name: str, pin: Pin) -> None:
    options = load_options_for(repository, name, pin.config)
    try:
        repository.commit(await repository.prepare(name, options))
    except ServingError as error:
        log.error("model=%s does not serve any more: %s", name, error)
