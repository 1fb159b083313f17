"""The probe that container health checks run: ready, not ready, nobody there, and a certificate that is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conveyor_client import probe
from tests.models import write_tiny_model
from tests.server.process import ServerProcess, running


def asked(capsys: pytest.CaptureFixture[str], **environment: str) -> tuple[int, str]:
    code = probe.main(environment)
    return code, capsys.readouterr().err


def test_a_ready_server_and_a_model_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tiny_model(tmp_path)
    with running(tmp_path) as server:
        assert asked(capsys, CONVEYOR_PROBE_ADDRESS=server.address) == (0, "")
        assert asked(capsys, CONVEYOR_PROBE_ADDRESS=server.address, CONVEYOR_PROBE_MODEL="tiny") == (0, "")
        code, said = asked(capsys, CONVEYOR_PROBE_ADDRESS=server.address, CONVEYOR_PROBE_MODEL="other")
        assert (code, said) == (1, f"{server.address}: other is not ready\n")
        port = {"CONVEYOR_SERVE_PORT": server.address.rpartition(":")[2]}
        command = [sys.executable, "-m", "conveyor_client.probe"]
        assert subprocess.run(command, check=False, env={**os.environ, **port}, timeout=30).returncode == 0


def test_an_empty_server_is_not_ready(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = ServerProcess(tmp_path)
    try:
        assert asked(capsys, CONVEYOR_PROBE_ADDRESS=server.address) == (
            1,
            f"{server.address}: the server is not ready\n",
        )
    finally:
        server.stop()


def test_nobody_there_and_no_such_certificate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(capsys, CONVEYOR_PROBE_ADDRESS="127.0.0.1:1")[0] == 1
    missing = str(tmp_path / "ca.pem")
    code, said = asked(capsys, CONVEYOR_PROBE_ADDRESS="127.0.0.1:1", CONVEYOR_PROBE_CA=missing)
    assert code == 1
    assert missing in said
