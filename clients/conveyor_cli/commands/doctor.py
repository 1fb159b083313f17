"""`conveyor doctor`: what this machine offers, what is missing and how to get it."""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from conveyor_server.doctor import Finding

SUMMARY = "Show versions, usable providers, CUDA libraries and CPU quota, with fixes."
EXAMPLE = "conveyor doctor"


class Settings(BaseModel):
    """What `conveyor doctor` can be told."""

    json_: bool = Field(False, description="Print JSON only.")


def run(settings: Settings) -> int:
    """Prints what was found; 1 when something that serving needs does not work."""
    from conveyor_server.doctor import examine

    findings = examine()
    healthy = all(finding.ok is not False for finding in findings)
    if settings.json_:
        report = {"ok": healthy, "findings": [asdict(finding) for finding in findings]}
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        _print_table(findings)
        sys.stdout.write("Next: conveyor serve REPOSITORY\n" if healthy else "Fix what is marked, then run it again.\n")
    return 0 if healthy else 1


def _print_table(findings: "list[Finding]") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for heading in ("", "what", "found"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        mark = {True: "ok", False: "NO", None: ""}[finding.ok]
        fix = f" (fix: {finding.fix})" if finding.fix and not finding.ok else ""
        table.add_row(mark, finding.name, escape(finding.detail + fix))
    Console().print(table)
