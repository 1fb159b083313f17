"""Which requests go to a canary."""

from types import SimpleNamespace
from typing import Any

import pytest

from conveyor_server.traffic.rule import REQUEST_ID, Rule
from conveyor_server.traffic.split import Split, position_of
from tests.server.scripted import in_loop
from tests.server.traffic.scripted import version

CALLERS = [f"caller {number}" for number in range(5000)]


def split(share: float, sticky_key: str = "") -> Split:
    return Split(Rule(stable=1, canary=2, canary_share=share, sticky_key=sticky_key), version(2).model)


def call(**metadata: str) -> Any:
    return SimpleNamespace(metadata={name.replace("_", "-"): value for name, value in metadata.items()})


@in_loop
async def test_a_share_is_met_by_chance_and_by_key() -> None:
    by_chance = [split(0.2).takes("", call()) for _ in CALLERS]
    by_key = [split(0.2, "x-user").takes("", call(x_user=caller)) for caller in CALLERS]
    for taken in (by_chance, by_key):
        assert sum(taken) / len(taken) == pytest.approx(0.2, abs=0.04)
    assert not any(split(0.0).takes("", call()) for _ in range(100))
    assert all(split(1.0).takes("", call()) for _ in range(100))


@in_loop
async def test_a_key_stays_with_its_version_and_more_join_as_the_share_grows() -> None:
    few, more = split(0.1, REQUEST_ID), split(0.3, REQUEST_ID)
    first = {caller for caller in CALLERS if few.takes(caller, call())}
    assert first == {caller for caller in CALLERS if split(0.1, REQUEST_ID).takes(caller, call())}
    assert first < {caller for caller in CALLERS if more.takes(caller, call())}
    # The same id, whichever way it comes.
    assert first == {caller for caller in CALLERS if few.takes("", call(x_request_id=caller))}


def test_a_key_lies_elsewhere_for_another_model() -> None:
    assert position_of("one", "caller") != position_of("other", "caller")
    # In every process and release: whoever was in stays in.
    assert position_of("digits", "caller") == pytest.approx(position_of("digits", b"caller"))
