"""How quick models are, measured side by side: in turns, so that a busy machine slows all of them alike."""

import time
from collections.abc import Mapping, Sequence
from statistics import median

from conveyor_exporter.checks.candidate import first_rows
from conveyor_exporter.model_input import Rows
from conveyor_exporter.session import Session

_WARM_UP_RUNS = 3
_FEWEST_ROUNDS, _MOST_ROUNDS = 9, 1000


def side_by_side(
    sessions: Mapping[str, Session], rows: Rows, batch_sizes: Sequence[int], seconds: float
) -> dict[str, dict[int, float]]:
    """Name of a session -> batch size in rows -> median milliseconds of a run; about `seconds` for each batch size."""
    medians: dict[str, dict[int, float]] = {name: {} for name in sessions}
    for size in batch_sizes:
        for name, times in _rounds(sessions, first_rows(rows, size), seconds).items():
            medians[name][size] = 1000 * median(times)
    return medians


def _rounds(sessions: Mapping[str, Session], batch: Rows, seconds: float) -> dict[str, list[float]]:
    for session in sessions.values():
        for _ in range(_WARM_UP_RUNS):
            session.run(batch)
    times: dict[str, list[float]] = {name: [] for name in sessions}
    end = time.perf_counter() + seconds
    for done in range(_MOST_ROUNDS):
        if done >= _FEWEST_ROUNDS and time.perf_counter() > end:
            break
        for name, session in sessions.items():
            start = time.perf_counter()
            session.run(batch)
            times[name].append(time.perf_counter() - start)
    return times
