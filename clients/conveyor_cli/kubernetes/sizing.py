"""From what was measured to what a pod is given, how many there are, and when there have to be more."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from conveyor_bench.tune.evidence import Evidence

MIB: Final = 1024 * 1024
# Of the highest rate: what a pod is planned to carry, so that one that is lost, or a burst, does not break the limit.
LOAD_SHARE: Final = 0.7
# Room above what was measured: other images, more models, clients' connections.
MEMORY_REQUESTED, MEMORY_ALLOWED = 1.25, 2.0
LEAST_MEMORY: Final = 256 * MIB
FEWEST_REPLICAS, USUAL_MOST = 2, 10


@dataclass(frozen=True, kw_only=True)
class Sizing:
    """A pod's resources and the autoscaler's figures. CPUs in thousandths, memory in bytes, rows per pod."""

    cpu_request: int
    cpu_limit: int
    memory_request: int | None
    memory_limit: int | None
    replicas: int
    max_replicas: int
    queue_rows: int
    rows_per_second: int


def size(
    evidence: Evidence, serve_settings: Mapping[str, object], rate: float | None, max_replicas: int | None
) -> Sizing:
    """The sizing for `rate` requests a second; without a rate, for a beginning with few pods.

    The queue's target is what waited, by Little's law, at the highest rate that met the limit; one row at least.
    """
    threads = math.prod(int(str(serve_settings[name])) for name in ("workers", "instance_count", "intra_op_threads"))
    planned = max(1, min(evidence.cores, threads))
    usage = evidence.usage
    requested = planned if usage is None else max(usage.cpus, 0.1)
    carried = LOAD_SHARE * evidence.highest_rate
    replicas = FEWEST_REPLICAS if rate is None else max(FEWEST_REPLICAS, math.ceil(rate / carried))
    waiting = evidence.highest_rate * evidence.images_per_request * evidence.mean_queue_ms / 1e3
    return Sizing(
        cpu_request=100 * math.ceil(10 * requested),
        # Whole: the server plans its threads by the CPUs that it may use fully.
        cpu_limit=1000 * max(planned, math.ceil(requested)),
        memory_request=None if usage is None else _rounded(MEMORY_REQUESTED * usage.memory_bytes),
        memory_limit=None if usage is None else _rounded(MEMORY_ALLOWED * usage.memory_bytes),
        replicas=replicas,
        max_replicas=max(replicas, max_replicas or max(USUAL_MOST, 2 * replicas)),
        queue_rows=max(1, round(waiting)),
        rows_per_second=max(1, math.floor(carried * evidence.images_per_request)),
    )


def _rounded(size: float) -> int:
    return 32 * MIB * math.ceil(max(LEAST_MEMORY, size) / (32 * MIB))
