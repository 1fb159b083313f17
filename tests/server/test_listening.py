"""How many connections a port takes: what was asked for, and no more than there are file descriptors for."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from conveyor_server.listening import SPARE_DESCRIPTORS, grpc_listening, http_listening
from conveyor_server.settings import ServerSettings


@pytest.mark.parametrize(
    ("descriptors", "asked", "more", "taken"),
    [
        (resource.RLIM_INFINITY, 50_000, {}, 50_000),
        (1_048_576, 50_000, {}, 50_000),
        (20_000, 50_000, {}, (20_000 - SPARE_DESCRIPTORS) // 2),
        (20_000, 50_000, {"http": False}, 20_000 - SPARE_DESCRIPTORS),
        (20_000, 50_000, {"http_port": 8001}, 20_000 - SPARE_DESCRIPTORS),
        (1024, 100, {}, 100),
        (256, 50_000, {}, 1),
    ],
)
def test_a_port_takes_no_more_connections_than_there_are_descriptors(
    monkeypatch: pytest.MonkeyPatch, descriptors: int, asked: int, more: dict[str, object], taken: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (descriptors, descriptors))
    given = {"repository": Path("models"), "max_connections": asked, **more}
    settings = ServerSettings.model_validate(given)
    assert grpc_listening(settings, shared=False).max_connections == taken
    assert http_listening(settings, shared=False).max_connections == taken


def test_a_server_takes_all_descriptors_that_it_may_have() -> None:
    program = (
        "import resource; kind = resource.RLIMIT_NOFILE; hard = resource.getrlimit(kind)[1];"
        "resource.setrlimit(kind, (200, hard));"
        "from conveyor_server.running import take_file_descriptors; take_file_descriptors();"
        "print(resource.getrlimit(kind) == (hard, hard))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "True\n"
