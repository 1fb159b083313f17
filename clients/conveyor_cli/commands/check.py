"""`conveyor check`: every check that fits, on anybody's ONNX classifier."""

import json
import sys

from conveyor_exporter.presentation import check_lines, progress
from conveyor_exporter.settings import CheckSettings

SUMMARY = "check any ONNX classifier, with a contract or without"
EXAMPLE = "conveyor check model.onnx"
Settings = CheckSettings


def run(settings: CheckSettings) -> int:
    """Prints each verdict; 1 when any check failed."""
    from conveyor_exporter.foreign import check_file
    from conveyor_exporter.report import checks_as_dicts

    with progress() as on_step:
        checks = list(check_file(settings.model, on_step))
    failures = [check.name for check in checks if not check.ok]
    if settings.json_:
        report = {"ok": not failures, "checks": checks_as_dicts(checks)}
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(check_lines(checks)) + "\n")
        following = f"conveyor inspect {settings.model}"
        sys.stdout.write("" if failures else f"\nnext: {following}\n")
    if failures:
        sys.stderr.write(
            f"error: {settings.model} fails {len(failures)} of {len(checks)} checks: {', '.join(failures)}\n"
        )
    return 1 if failures else 0
