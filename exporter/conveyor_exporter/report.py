"""The report of an export: every check with its figures, for people and programs. Timings may stand here only."""

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from conveyor.v1 import model_pb2
from conveyor_exporter.checks.accuracy import ChangedLabel
from conveyor_exporter.precision.gate import Comparison


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What was found about one candidate. `seconds` by phase; digests are empty when nothing was published."""

    model_name: str
    version: int
    checks: tuple[model_pb2.Check, ...]
    comparisons: tuple[Comparison, ...] = ()
    changed_labels: tuple[ChangedLabel, ...] = ()
    file_digest: str = ""
    model_digest: str = ""
    file_bytes: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def failures(self) -> tuple[model_pb2.Check, ...]:
        return tuple(check for check in self.checks if not check.ok)

    @property
    def ok(self) -> bool:
        return bool(self.checks) and not self.failures

    def to_dict(self) -> dict[str, Any]:
        """As it stands in report.json."""
        return {
            "ok": self.ok,
            "model_name": self.model_name,
            "version": self.version,
            "checks": checks_as_dicts(self.checks),
            "precisions": [comparison.to_dict() for comparison in self.comparisons],
            "changed_labels": [asdict(change) for change in self.changed_labels],
            "file_digest": self.file_digest,
            "model_digest": self.model_digest,
            "file_bytes": self.file_bytes,
            "seconds": {phase: round(seconds, 3) for phase, seconds in self.seconds.items()},
            "versions": self.versions,
            "machine": {
                "system": platform.system(),
                "machine": platform.machine(),
                "python": platform.python_version(),
            },
        }

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")


def checks_as_dicts(checks: Sequence[model_pb2.Check]) -> list[dict[str, Any]]:
    """Checks as JSON shows them: name, ok, detail, figures."""
    return [
        {
            "name": check.name,
            "ok": check.ok,
            "detail": check.detail,
            "figures": dict(sorted(check.figures.items())),
        }
        for check in checks
    ]
