"""What a server's processes hold, and whether that is more than before."""

from pathlib import Path
from typing import Final

from tests.soak.sampling import Sample, look_at

# What memory may rise by, once it is warm: the allocator's own play.
MAX_GROWTH: Final = 0.05
SPARE_MIB: Final = 4.0


def processes_of(pid: int) -> list[Sample]:
    """The process and all that it started, the largest first."""
    children = (Path(f"/proc/{pid}/task/{pid}/children")).read_text().split()
    own = look_at(pid)
    samples = [own] if own is not None else []
    for child in children:
        samples += processes_of(int(child))
    return sorted(samples, key=lambda each: -each.resident_mib)


def has_not_grown(before: Sample, after: Sample) -> bool:
    """Whether it is the same process, with no more memory than MAX_GROWTH and SPARE_MIB above what it had."""
    return after.pid == before.pid and after.resident_mib <= before.resident_mib * (1 + MAX_GROWTH) + SPARE_MIB
