"""What was measured with the chosen settings, as a file beside the plan: `conveyor deploy` sizes pods by it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from conveyor_client.errors import ConveyorClientError


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What the server used of the machine: CPUs kept busy at the highest rate, and bytes held after all rates."""

    cpus: float
    memory_bytes: int


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Figures of the chosen settings at the highest rate within the limit, in requests/s; `usage` None: not known."""

    model_file: str
    cores: int
    images_per_request: int
    slo_p99_ms: float
    highest_rate: float
    p99_ms: float
    mean_queue_ms: float
    usage: Usage | None


def evidence_file(plan: Path) -> Path:
    """Where the evidence of a plan is."""
    return plan.with_suffix(".json")


def write_evidence(evidence: Evidence, plan: Path) -> None:
    """Writes it beside the plan."""
    evidence_file(plan).write_text(json.dumps(asdict(evidence), indent=2) + "\n", encoding="utf-8")


def read_evidence(plan: Path) -> Evidence:
    """Reads what is beside a plan. Raises ConveyorClientError when it is missing or is not evidence."""
    file = evidence_file(plan)
    try:
        given = json.loads(file.read_text(encoding="utf-8"))
        usage = None if given["usage"] is None else Usage(**given["usage"])
        known = {each.name for each in fields(Evidence)} - {"usage"}
        return Evidence(usage=usage, **{name: given[name] for name in known})
    except FileNotFoundError:
        raise ConveyorClientError(
            f"there is no {file}: conveyor tune writes it beside {plan.name}, with what it measured"
        ) from None
    except (KeyError, TypeError, ValueError):
        raise ConveyorClientError(
            f"{file} does not hold what conveyor tune measured; let it write both again"
        ) from None
