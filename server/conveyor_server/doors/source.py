"""How many callers were sent away at the door, for the metrics page."""

from __future__ import annotations

from collections.abc import Iterable

from conveyor_server.doors.doors import DOORS, Doors
from conveyor_server.metrics.family import Family, Sample, counter


class DoorsSource:
    """A metrics source of one process that serves."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    def families(self) -> Iterable[Family]:
        """Each door from the start on, so that a rate can be had of the first refusal."""
        samples = [Sample(labels={"door": door}, value=self._doors.refused[door]) for door in DOORS]
        yield counter("conveyor_refused_calls_total", "Calls that were sent away at the door, by door.", samples)
