"""What the page's charts are drawn from: the counters of all workers now, as JSON. The page works out the rates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from conveyor_server.metrics.family import Family

OWN: Final = "conveyor_"


def pulse_of(families: Iterable[Family], why_not_ready: str | None) -> dict[str, Any]:
    """The families by name, each with its kind and its samples [labels, value]; aliases of others' are left out."""
    own = {
        family.name: {"kind": fields["kind"], "samples": fields["samples"]}
        for family in families
        if family.name.startswith(OWN)
        for fields in [family.to_json()]
    }
    return {"not_ready": why_not_ready, "families": own}
