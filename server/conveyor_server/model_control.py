"""Loading and unloading while the server runs: what callers, and a look at the folder, may ask for."""

from __future__ import annotations

from typing import Protocol


class ModelControl(Protocol):
    """What changes which models serve. Every method raises ServingError."""

    async def load(self, name: str, config: str, *, reload: bool) -> None:
        """Loads what the model's folder holds now; `config` is JSON, or empty.

        Without `reload`, only what has changed is loaded, and a version that cannot be served is passed over.
        """

    async def unload(self, name: str) -> None:
        """Lets the model finish what it accepted, and serves it no longer."""
