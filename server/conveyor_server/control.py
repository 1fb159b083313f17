"""Loading and unloading in the process that serves."""

from __future__ import annotations

from conveyor_server.inference.overrides import options_with
from conveyor_server.loading import LoadOptions
from conveyor_server.repository import Repository


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
