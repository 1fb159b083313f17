"""What the page's charts are drawn from: the counters of all workers now, as JSON. The page works out the rates."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

from conveyor_server.metrics.family import Family

OWN: Final = "conveyor_"


def pulse_of(families: Iterable[Family], why_not_ready: str | None) -> dict[str, Any]:
    """The families by name, each with its kind and its samples [labels, value]; aliases of others' are left out.

    So are values that are no numbers, which JSON cannot say.
    """
    own = {
        family.name: {"kind": fields["kind"], "samples": [sample for sample in fields["samples"] if _is_known(sample)]}
        for family in families
        if family.name.startswith(OWN)
        for fields in [family.to_json()]
    }
    return {"not_ready": why_not_ready, "families": own}


def _is_known(sample: tuple[Any, Any]) -> bool:
    _, value = sample
    return not isinstance(value, float) or math.isfinite(value)
