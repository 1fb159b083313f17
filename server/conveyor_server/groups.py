"""The groups of methods: who may call one, may call all of its group."""

from __future__ import annotations

import enum


class Group(enum.Enum):
    """What a method, or a page of the HTTP port, is for."""

    # Asks models, and what there is to know of them.
    INFERENCE = "inference"
    # Changes what the server does, or shows what only an administrator may see.
    ADMIN = "admin"
    # Counters.
    METRICS = "metrics"
    # Open to everybody: probes ask without a secret.
    HEALTH = "health"
