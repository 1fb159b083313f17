"""How many connections a port takes: what was asked for, and no more than there are file descriptors for."""

import resource
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
