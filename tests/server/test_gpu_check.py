"""`make gpu-check` where there is no GPU: it says so, and nothing fails."""

import subprocess
import sys
from pathlib import Path

import pytest

from conveyor_server.providers import device_count

SCRIPT = Path(__file__).parents[2] / "server" / "benchmarks" / "gpu_check.py"


@pytest.mark.skipif(device_count() > 0, reason="there is a GPU: run make gpu-check")
def test_without_a_gpu_the_check_says_that_it_did_nothing() -> None:
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "skipped: no CUDA device\n"), done.stderr
