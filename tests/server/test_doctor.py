"""The diagnosis, and that ONNX Runtime sends nothing: each in a process of its own, where nobody loaded it before."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conveyor_server import doctor
from conveyor_server.doctor import TELEMETRY_DATABASE, examine

# Loads ONNX Runtime by EXPRESSION, and says what became of its telemetry.
WATCHED = """
import json, os, sys

class Import:
    variable = "never imported"
    def find_spec(self, name, path, target=None):
        if name == "onnxruntime":
            self.variable = os.environ.get("ORT_DISABLE_TELEMETRY")

def watch(frame, event, called):
    if event == "c_call":
        calls.add(called.__name__)

seen, calls = Import(), set()
sys.meta_path.insert(0, seen)
sys.setprofile(watch)
EXPRESSION
sys.setprofile(None)
opened = [os.path.basename(os.path.realpath(f"/proc/self/fd/{number}")) for number in os.listdir("/proc/self/fd")]
disabled = "disable_telemetry_events" in calls
print(json.dumps({"variable": seen.variable, "disabled": disabled, "database": DATABASE in opened}))
"""


def run(home: Path, *arguments: str) -> str:
    """What Python prints that knows of no setting."""
    environment = {**os.environ, "HOME": str(home)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    environment.pop("XDG_CACHE_HOME", None)
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=120, check=True
    ).stdout


def watched(home: Path, expression: str) -> dict[str, object]:
    """What `WATCHED` says of a way to load ONNX Runtime."""
    program = WATCHED.replace("EXPRESSION", expression).replace("DATABASE", repr(TELEMETRY_DATABASE))
    said: dict[str, object] = json.loads(run(home, "-c", program).splitlines()[-1])
    return said


@pytest.mark.parametrize(
    "expression",
    [
        "from conveyor_server.providers import load_runtime; load_runtime()",
        "from conveyor_exporter.session import runtime_version; runtime_version()",
    ],
    ids=["server", "exporter"],
)
def test_telemetry_is_off_before_the_runtime_is_loaded(tmp_path: Path, expression: str) -> None:
    assert watched(tmp_path, expression) == {"variable": "1", "disabled": True, "database": False}
    assert not list(tmp_path.rglob(TELEMETRY_DATABASE))


def test_telemetry_is_off_in_every_command(tmp_path: Path) -> None:
    said = watched(tmp_path, "from conveyor_cli.main import main; main(['--version']); import conveyor_cli.local_model")
    assert (said["variable"], said["database"]) == ("1", False)


def test_doctor_reports_a_working_machine_as_json(tmp_path: Path) -> None:
    report = json.loads(run(tmp_path, "-c", "from conveyor_cli.main import main; main(['doctor', '--json'])"))
    findings = {finding["name"]: finding for finding in report["findings"]}
    assert report["ok"]
    assert findings["CPUExecutionProvider"]["ok"]
    assert findings["telemetry"]["detail"].startswith("off")
    assert "usable" in findings["CPUs"]["detail"]
    assert {"onnxruntime", "grpcio", "shared libpython"} <= set(findings)


def test_doctor_sees_a_database_of_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "problem_with_envoy", lambda: "not asked here")
    with (tmp_path / TELEMETRY_DATABASE).open("w"):
        (found,) = [finding for finding in examine() if finding.name == "telemetry"]
    assert not found.ok
    assert found.detail.startswith("on: ")
    assert found.detail.endswith(f"{TELEMETRY_DATABASE} is open")
