"""Which of a model's instances are free, which run, and which were given up because their run does not end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from conveyor_server.batch import Batch
from conveyor_server.instance import BatchResult, Instance

# Called with the instance, its batch and the result.
Done = Callable[[Instance, Batch, BatchResult], None]


@dataclass(slots=True)
class _Run:
    batch: Batch
    # Looks that found it at work.
    looks: int = 0


class InstancePool:
    """Belongs to the event loop's thread."""

    def __init__(self, instances: Sequence[Instance]) -> None:
        self._instances = instances
        self.free = list(instances)
        self._running: dict[Instance, _Run] = {}

    def __len__(self) -> int:
        return len(self._instances)

    @property
    def batches(self) -> list[Batch]:
        """Those that run, and were not given up."""
        return [run.batch for run in self._running.values()]

    @property
    def hanging(self) -> int:
        """Instances that were given up, and whose run is not back."""
        return len(self._instances) - len(self.free) - len(self._running)

    def start(self, batch: Batch, done: Done) -> None:
        """Has a free instance run the batch."""
        instance = self.free.pop()
        self._running[instance] = _Run(batch)
        instance.start(batch, partial(done, instance))

    def finish(self, instance: Instance) -> bool:
        """The instance is free again; whether somebody still waits for its batch, because it was not given up."""
        self.free.append(instance)
        return self._running.pop(instance, None) is not None

    def give_up(self, patience: int) -> list[Batch]:
        """Looks at the runs; returns the batches of those that more than `patience` looks have found at work.

        Counted in looks, not in seconds: a process that stood still did not look, and its runs did not hang.
        """
        for run in self._running.values():
            run.looks += 1
        hanging = [instance for instance, run in self._running.items() if run.looks > patience]
        return [self._running.pop(instance).batch for instance in hanging]

    def close(self) -> None:
        """Ends each instance after the batch that it runs."""
        for instance in self._instances:
            instance.close()
