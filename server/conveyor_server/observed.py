"""What one process has seen of its models' answers, as families that add up over workers."""

from __future__ import annotations

from conveyor_server.drift.families import drift_families
from conveyor_server.metrics.family import Family
from conveyor_server.observation import Observation
from conveyor_server.traffic.comparison import families_of
from conveyor_server.traffic.table import Traffic


def observed_families(traffic: Traffic, observation: Observation, name: str | None = None) -> list[Family]:
    """Of one model, or of all."""
    comparisons = {key: each for key, each in traffic.comparisons().items() if name in (None, key.model)}
    observers = [observer for observer in observation if name in (None, observer.model.name)]
    return [*families_of(comparisons), *drift_families(observers)]
