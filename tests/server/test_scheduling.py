"""Batch work while the CPUs are the server's own, as usual where they are idle or somebody else's."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from conveyor_server.scheduling import BATCH_ABOVE, USUAL_BELOW, Scheduling, can_be_batch
from tests.server.scripted import Clock


class Process:
    """A process whose use of the CPUs the test decides."""

    def __init__(self, cpus: float = 1.0) -> None:
        self.clock, self.cpu = Clock(), Clock()
        self.changes: list[bool] = []
        self.scheduling = Scheduling(cpus, self.changes.append, self.clock, self.cpu)

    def spend(self, share: float, seconds: float = 1.0) -> None:
        """Uses so much of one CPU for some time; then somebody looks."""
        self.clock.now += seconds
        self.cpu.now += share * seconds
        self.scheduling.look()


def test_who_uses_up_the_cpus_becomes_batch_work_and_who_rests_is_scheduled_as_usual() -> None:
    process = Process()
    for share in (0.1, 0.97, 0.97, 0.02):
        process.spend(share)
    assert process.changes == [True, False]


def test_between_the_two_limits_nothing_changes() -> None:
    process = Process()
    between = (BATCH_ABOVE + USUAL_BELOW) / 2
    for share in (between, 0.9, between, 0.1, between):
        process.spend(share)
    assert process.changes == [True, False]


def test_the_share_of_a_worker_counts() -> None:
    one_of_two = Process(cpus=1.0)
    alone = Process(cpus=4.0)
    for process in (one_of_two, alone):
        process.spend(0.9)
    assert one_of_two.changes == [True]
    assert alone.changes == []


def test_two_looks_at_once_harm_nothing() -> None:
    process = Process()
    process.spend(0.0, seconds=0.0)
    assert process.changes == []


# In a process of its own: the tests' must stay as it is.
_PROGRAM = """
import os, threading
from conveyor_server.scheduling import Scheduling
threading.Thread(target=threading.Event().wait, daemon=True).start()
used = iter([0.0, 1.0, 1.0])
now = iter([0.0, 1.0, 2.0])
scheduling = Scheduling(1.0, now=now.__next__, used=used.__next__)
for _ in range(2):
    scheduling.look()
    threads = sorted(map(int, os.listdir("/proc/self/task")))
    print(len(threads), {os.sched_getscheduler(thread) for thread in threads})
"""


@pytest.mark.skipif(not can_be_batch(), reason="this system knows no batch work")
def test_every_thread_of_the_process_changes() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == [f"2 {{{os.SCHED_BATCH}}}", f"2 {{{os.SCHED_OTHER}}}"]
