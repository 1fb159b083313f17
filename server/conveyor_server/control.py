"""Loading and unloading while the server runs: what callers, and a look at the folder, may ask for."""

from __future__ import annotations

from typing import Protocol

from conveyor_server.inference.overrides import options_with
from conveyor_server.loading import LoadOptions
from conveyor_server.repository import Repository


class ModelControl(Protocol):
    """What changes which models serve. Every method raises ServingError."""

    async def load(self, name: str, config: str, *, reload: bool) -> None:
        """Loads what the model's folder holds now; `config` is JSON, or empty.

        Without `reload`, only what has changed is loaded, and a version that cannot be served is passed over.
        """

    async def unload(self, name: str) -> None:
        """Lets the model finish what it accepted, and serves it no longer."""


class LocalControl:
    """In the process that serves, when it is the only one."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    async def load(self, name: str, config: str, *, reload: bool) -> None:
        """Loads and swaps in."""
        options = load_options_for(self._repository, name, config)
        self._repository.commit(await self._repository.prepare(name, options, reload=reload))

    async def unload(self, name: str) -> None:
        """Unloads."""
        await self._repository.unload(name)


def load_options_for(repository: Repository, name: str, config: str) -> LoadOptions:
    """The server's own options, with a configuration's choices. Raises ServingError."""
    return options_with(repository.options, name, config) if config else repository.options
