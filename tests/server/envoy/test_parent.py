"""Two processes and one server: either may die, and the other then does what is right. Envoy alone."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.server.envoy.asking import request
from tests.server.process import START_SECONDS, ServerProcess, running

pytestmark = pytest.mark.usefixtures("envoy")


def envoy_of(server: ServerProcess) -> int:
    """The process that `conveyor serve` started."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = stat.read_text().rsplit(")", 1)
        except OSError:
            continue
        parents[int(name.split()[0])] = int(rest.split()[1])
    (child,) = [pid for pid, parent in parents.items() if parent == server.pid]
    return child


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_when_envoy_dies_another_takes_its_place(models: Path) -> None:
    with running(models, "--engine", "envoy") as server:
        os.kill(envoy_of(server), signal.SIGKILL)
        server.wait_for_log(r"ended unexpectedly \(exit code -9\); another takes its place")
        server.wait_until_answered(request(0))


def test_when_the_parent_dies_envoy_does_not_stay_behind(models: Path) -> None:
    with running(models, "--engine", "envoy") as server:
        envoy = envoy_of(server)
        server.signal(signal.SIGKILL)
        end = time.monotonic() + START_SECONDS
        while is_running(envoy):
            assert time.monotonic() < end
            time.sleep(0.05)


def test_ctrl_c_in_a_terminal_does_not_reach_envoy(models: Path) -> None:
    with running(models, "--engine", "envoy") as server:
        assert os.getsid(envoy_of(server)) != os.getsid(server.pid)
