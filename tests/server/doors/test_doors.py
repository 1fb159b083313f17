"""The decision at the door, case by case; and that a method which everybody may call costs nothing."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from conveyor_server.calls import MethodTable
from conveyor_server.doors.doors import DOORS, Doors, Surroundings, make_doors
from conveyor_server.doors.rate import RateLimiter
from conveyor_server.doors.source import DoorsSource
from conveyor_server.doors.tokens import Tokens
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.groups import Group
from conveyor_server.health import SERVICE as HEALTH
from conveyor_server.listening import Listening
from conveyor_server.providers import CPU
from conveyor_server.server import Server
from conveyor_server.settings import ServerSettings

INFERENCE, ADMIN, METRICS = Group.INFERENCE, Group.ADMIN, Group.METRICS


@dataclass(frozen=True)
class Caller:
    """A call's context."""

    metadata: Mapping[str, str | bytes] = field(default_factory=dict)
    certificate_name: str | None = None
    peer: str = "ipv4:192.0.2.1:5000"
    deadline: float | None = None

    def add_trailing_metadata(self, key: str, value: str) -> None:
        """Nobody reads it."""


def doors(
    variables: Mapping[str, str] | None = None,
    *,
    is_local: bool = True,
    certificates: bool = False,
    certificate_suffices: bool = False,
    limiter: RateLimiter | None = None,
) -> Doors:
    around = Surroundings(is_local=is_local, certificates=certificates, certificate_suffices=certificate_suffices)
    tokens = {f"CONVEYOR_SERVE_{group.upper()}_TOKEN": token for group, token in (variables or {}).items()}
    return Doors(around, Tokens({}, tokens), limiter)


def outcome(tried: Doors, group: Group, caller: Caller) -> str:
    try:
        tried.admit(group, caller)
    except ServingError as error:
        return error.kind.name
    return "OK"


def token(text: str) -> Caller:
    return Caller({"authorization": f"Bearer {text}"})


SOMEBODY, NAMED = Caller(), Caller(certificate_name="caller.example")
OPEN, CLOSED = {"is_local": True}, {"is_local": False}
MUTUAL = {"is_local": False, "certificates": True}
OPTIONAL = {**MUTUAL, "certificate_suffices": True}


@pytest.mark.parametrize(
    ("variables", "around", "caller", "expected"),
    [
        # In the order of INFERENCE, METRICS, ADMIN.
        ({}, OPEN, SOMEBODY, "OK OK OK"),
        ({}, CLOSED, SOMEBODY, "OK OK FORBIDDEN"),
        ({}, MUTUAL, NAMED, "OK OK OK"),
        ({}, MUTUAL, SOMEBODY, "UNAUTHENTICATED OK FORBIDDEN"),
        ({"admin": "a"}, OPEN, SOMEBODY, "OK OK UNAUTHENTICATED"),
        ({"admin": "a"}, CLOSED, token("a"), "OK OK OK"),
        ({"admin": "a"}, MUTUAL, NAMED, "OK OK UNAUTHENTICATED"),
        ({"admin": "a"}, MUTUAL, token("a"), "OK OK OK"),
        ({"inference": "i"}, OPEN, SOMEBODY, "UNAUTHENTICATED OK FORBIDDEN"),
        ({"inference": "i"}, OPEN, token("i"), "OK OK FORBIDDEN"),
        ({"inference": "i"}, MUTUAL, NAMED, "UNAUTHENTICATED OK OK"),
        ({"inference": "i"}, OPTIONAL, NAMED, "OK OK OK"),
        ({"inference": "i"}, OPTIONAL, token("i"), "OK OK FORBIDDEN"),
        ({"inference": "i", "admin": "a"}, OPTIONAL, NAMED, "OK OK UNAUTHENTICATED"),
        ({"metrics": "m"}, OPEN, SOMEBODY, "OK UNAUTHENTICATED FORBIDDEN"),
        ({"inference": "i", "metrics": "m", "admin": "a"}, OPEN, token("m"), "FORBIDDEN OK FORBIDDEN"),
        ({"inference": "i", "metrics": "m", "admin": "a"}, OPEN, token("x"), "UNAUTHENTICATED " * 3),
    ],
)
def test_who_enters(variables: dict[str, str], around: dict[str, bool], caller: Caller, expected: str) -> None:
    tried = doors(variables, **around)  # type: ignore[arg-type]  # all of them are flags
    assert [outcome(tried, group, caller) for group in (INFERENCE, METRICS, ADMIN)] == expected.split()
    assert outcome(tried, Group.HEALTH, SOMEBODY) == "OK"


def test_a_host_that_others_reach_closes_administration_whichever_port_has_it() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "OK"),
        ({"host": "::1"}, "OK"),
        ({"host": "0.0.0.0"}, "FORBIDDEN"),
        ({"http_host": "0.0.0.0"}, "FORBIDDEN"),
        ({"http_host": "0.0.0.0", "http": False}, "OK"),
        ({"host": "model.example"}, "FORBIDDEN"),
    ]
    for hosts, expected in cases:
        settings = ServerSettings.model_validate({"repository": Path("models"), **hosts})
        assert outcome(make_doors(settings), ADMIN, SOMEBODY) == expected, hosts


def test_refusals_are_counted_by_door() -> None:
    tried = doors({"inference": "i"}, is_local=False, limiter=RateLimiter(1.0, 3, lambda: 0.0))
    for group, caller in ((INFERENCE, token("x")), (METRICS, token("i")), (ADMIN, token("i")), (ADMIN, SOMEBODY)):
        outcome(tried, group, caller)
    outcome(tried, INFERENCE, SOMEBODY)
    outcome(tried, INFERENCE, SOMEBODY)
    (family,) = DoorsSource(tried).families()
    assert {sample.labels["door"]: sample.value for sample in family.samples} == {
        "token": 2,
        "group": 1,
        "admin": 1,
        "certificate": 0,
        "rate": 1,
    }
    assert [sample.labels["door"] for sample in family.samples] == list(DOORS)


def test_a_caller_is_its_token_its_certificate_or_its_network() -> None:
    limiter = RateLimiter(1.0, 1, lambda: 0.0)
    tried = doors({"inference": "i"}, is_local=False, certificate_suffices=True, certificates=True, limiter=limiter)
    assert outcome(tried, INFERENCE, token("i")) == "OK"
    assert outcome(tried, INFERENCE, Caller({"x-api-key": "i"}, peer="ipv4:192.0.2.9:1")) == "TOO_OFTEN"
    assert outcome(tried, INFERENCE, NAMED) == "OK"
    assert outcome(tried, INFERENCE, Caller(certificate_name="caller.example", peer="ipv4:192.0.2.9:2")) == "TOO_OFTEN"
    # A wrong token is nobody's: each would be a fresh start otherwise.
    assert outcome(tried, INFERENCE, token("one")) == "UNAUTHENTICATED"
    assert outcome(tried, INFERENCE, token("two")) == "TOO_OFTEN"
    assert outcome(tried, INFERENCE, Caller(peer="ipv6:%5B2001:db8::1%5D:7")) == "UNAUTHENTICATED"
    assert outcome(tried, INFERENCE, Caller(peer="ipv6:[2001:db8::ffff]:8")) == "TOO_OFTEN"
    assert outcome(tried, INFERENCE, Caller(peer="ipv6:%5B2001:db8:0:1::1%5D:7")) == "UNAUTHENTICATED"


def test_every_method_has_the_group_that_it_should_and_open_ones_cost_nothing(tmp_path: Path) -> None:
    made: list[MethodTable] = []

    def no_engine(table: MethodTable, listening: Listening) -> Any:
        made.append(table)

    async def make() -> None:
        Server(ServerSettings.model_validate({"repository": tmp_path, "http": False}), CPU, no_engine)

    asyncio.run(make())
    (table,) = made
    assert all(method.guard is None for method in table.values())
    groups = {path: method.group for path, method in table.items()}
    assert {path for path, group in groups.items() if group is Group.HEALTH} == {
        f"/{HEALTH}/Check",
        f"/{HEALTH}/Watch",
        *(f"/inference.GRPCInferenceService/{name}" for name in ("ServerLive", "ServerReady", "ModelReady")),
    }
    asking = {path for path, group in groups.items() if group is INFERENCE}
    changing = ("Load", "Unload", "Register", "Unregister", "Setting", "Settings", "Promote", "RollBack", "SetTraffic")
    assert not [path for path in asking if path.endswith(changing)]
    assert all(group is ADMIN for path, group in groups.items() if "Admin" in path)


def test_a_stream_waits_for_its_turn_and_a_call_is_told_when_to_come_again() -> None:
    now = 0.0
    limiter = RateLimiter(2.0, 1, lambda: now)
    tried = doors(limiter=limiter)
    pace = tried.admit(INFERENCE, SOMEBODY)
    assert pace is not None

    async def first() -> None:
        await pace()  # the first message is the call itself

    asyncio.run(first())
    assert limiter.reserve("192.0.2.1") == pytest.approx(0.5)
    with pytest.raises(ServingError) as refused:
        tried.admit(INFERENCE, SOMEBODY)
    assert refused.value.kind is ErrorKind.TOO_OFTEN
    assert refused.value.retry_after_ms == 1000
