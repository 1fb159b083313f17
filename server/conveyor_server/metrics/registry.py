"""All that a server counts: this process's own, and all workers' together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from conveyor_server.metrics.family import Derivation, Family, Source, merged

Everywhere = Callable[[], Awaitable[Sequence[Family]]]


class Metrics:
    """The sources of one process. Nothing is worked out before somebody asks."""

    def __init__(
        self, sources: Iterable[Source], derivations: Iterable[Derivation] = (), everywhere: Everywhere | None = None
    ) -> None:
        """`everywhere` asks all workers for their snapshots, this one's included, where there are several."""
        self._sources = list(sources)
        self._derivations = list(derivations)
        self._everywhere = everywhere

    def snapshot(self) -> list[Family]:
        """This process's, as they add up."""
        return merged(family for source in self._sources for family in source.families())

    async def collect(self) -> list[Family]:
        """What the server shows, whichever of its workers is asked."""
        families = self.snapshot() if self._everywhere is None else merged(await self._everywhere())
        sums = {family.name: family for family in families}
        derived = [family for derivation in self._derivations for family in derivation.families(sums)]
        return [family for family in merged([*families, *derived]) if not family.internal]
