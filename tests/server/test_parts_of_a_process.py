"""The small parts that a server process stands on: codes, CPU quota, the gate, the diagnosis."""

import asyncio
import json
from pathlib import Path

import pytest

from conveyor_cli.main import main
from conveyor_server.cpu import cpu_quota, usable_cpus
from conveyor_server.errors import ErrorKind, ServingError, StartError
from conveyor_server.gate import QUIET_SECONDS, Gate
from conveyor_server.memory import memory_limit, require_memory
from conveyor_server.statuses import CONVEYOR_CODES, Code
from tests.server.scripted import in_scripted_loop, pass_time


def test_every_kind_of_error_has_a_code() -> None:
    assert set(CONVEYOR_CODES) == set(ErrorKind)
    assert CONVEYOR_CODES[ErrorKind.QUEUE_FULL] is Code.RESOURCE_EXHAUSTED
    assert CONVEYOR_CODES[ErrorKind.DEADLINE_PASSED] is Code.DEADLINE_EXCEEDED


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({}, None),
    ],
)
def test_the_cpu_quota_is_read_from_either_version_of_cgroups(
    tmp_path: Path, files: dict[str, str], quota: float | None
) -> None:
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    assert cpu_quota(tmp_path) == quota
    assert usable_cpus(tmp_path) >= 1
    if quota is not None:
        assert usable_cpus(tmp_path) == 1


@pytest.mark.parametrize(
    ("file", "content", "limit"),
    [
        ("memory.max", "67108864", 64 * 2**20),
        ("memory.max", "max", None),
        ("memory/memory.limit_in_bytes", "67108864", 64 * 2**20),
        ("memory/memory.limit_in_bytes", "9223372036854771712", None),
        ("elsewhere", "", None),
    ],
)
def test_too_little_memory_is_said_before_the_kernel_acts(
    tmp_path: Path, file: str, content: str, limit: int | None
) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / file).write_text(content)
    assert memory_limit(tmp_path) == limit
    if limit is None:
        require_memory(tmp_path)
    else:
        with pytest.raises(StartError, match="may use 64 MiB of memory, and a server needs 128 MiB"):
            require_memory(tmp_path)


@in_scripted_loop
async def test_a_closed_gate_refuses_newcomers_and_waits_for_those_inside() -> None:
    gate = Gate()
    with gate:
        gate.close()
        quiet = asyncio.create_task(gate.wait_quiet())
        with pytest.raises(ServingError) as refused, gate:
            pass
        assert refused.value.kind is ErrorKind.STOPPING
        await pass_time(1.5 * QUIET_SECONDS)
        assert not quiet.done()
        assert gate.inside == 1
    await pass_time(1.5 * QUIET_SECONDS)
    assert quiet.done()
    assert gate.inside == 0


@in_scripted_loop
async def test_the_gate_is_not_quiet_while_somebody_still_knocks() -> None:
    gate = Gate()
    gate.close()
    quiet = asyncio.create_task(gate.wait_quiet())
    for _ in range(4):
        await pass_time(0.75 * QUIET_SECONDS)
        with pytest.raises(ServingError), gate:
            pass
    await pass_time(0.75 * QUIET_SECONDS)
    assert not quiet.done()
    await pass_time(0.75 * QUIET_SECONDS)
    assert quiet.done()


def test_doctor_reports_a_working_machine_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    findings = {finding["name"]: finding for finding in report["findings"]}
    assert report["ok"]
    assert findings["CPUExecutionProvider"]["ok"]
    assert findings["telemetry"]["detail"].startswith("off")
    assert "usable" in findings["CPUs"]["detail"]
    assert {"onnxruntime", "grpcio", "shared libpython"} <= set(findings)
