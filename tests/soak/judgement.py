"""Whether memory stayed flat, and whether anything was left over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from tests.soak.sampling import Sample

# Share of a process's samples that count as its warm-up, and as its beginning and its end after that.
WARM_UP = 0.4
EDGE = 0.15
MAX_GROWTH = 0.05
# A process that was seen less often, because it was killed or took a dead one's place late, is not judged.
LEAST_SAMPLES = 20


@dataclass(frozen=True, kw_only=True)
class Memory:
    """One process's resident memory after its warm-up: medians at both ends, and the slope of a line through all."""

    pid: int
    first_mib: float
    last_mib: float
    mib_per_hour: float

    @property
    def growth(self) -> float:
        """As a share of the beginning."""
        return self.last_mib / self.first_mib - 1

    @property
    def is_flat(self) -> bool:
        """Whether it has not grown by more than MAX_GROWTH."""
        return self.growth <= MAX_GROWTH


def memory_of(pid: int, samples: Sequence[Sample]) -> Memory | None:
    """None for a process that was not seen often enough."""
    warm = samples[int(len(samples) * WARM_UP) :]
    if len(warm) < LEAST_SAMPLES:
        return None
    edge = max(1, int(len(warm) * EDGE))
    return Memory(
        pid=pid,
        first_mib=median(sample.resident_mib for sample in warm[:edge]),
        last_mib=median(sample.resident_mib for sample in warm[-edge:]),
        mib_per_hour=3600 * _slope([s.seconds for s in warm], [s.resident_mib for s in warm]),
    )


def left_over(before: Mapping[str, Sample], after: Mapping[str, Sample]) -> list[str]:
    """Threads and descriptors, by the part that a process plays, that an idle server has more of than before."""
    sentences = []
    for part, sample in after.items():
        first = before[part]
        if sample.own_threads.total() > first.own_threads.total():
            more = dict(sample.own_threads - first.own_threads)
            sentences.append(f"{part} has more threads than before ({first.own_threads.total()}): {more}")
        if sample.descriptors > first.descriptors:
            sentences.append(f"{part} has {sample.descriptors} descriptors, and had {first.descriptors} before")
    return sentences


def _slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Of the line of least squares."""
    mean_x, mean_y = fmean(xs), fmean(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread if spread else 0.0
