"""Bytes that nobody in their right mind sends, to every RPC: each call ends properly, and the server goes on."""

import random
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conveyor.v1 import classifier_pb2 as pb
from tests.counts import count
from tests.fuzz.conftest import MAX_MESSAGE_BYTES
from tests.fuzz.firing import AT_ONCE, fire, heal, resident_mib, wait_until_idle
from tests.fuzz.messages import Shot, corpus, shot
from tests.fuzz.methods import all_rpcs
from tests.server.envoy.asking import request
from tests.server.envoy.test_workers import workers_of
from tests.server.process import ServerProcess

RPCS = all_rpcs()
KEPT = corpus()
ROUND = 500
# Seconds for a test with full counts.
LONG = 3600
# What memory may grow by, after the first tenth.
MAX_GROWTH = 1.1
# What the messages of the calls at one time take, which is not always given back.
IN_FLIGHT_MIB = AT_ONCE * MAX_MESSAGE_BYTES / 2**20


def processes(server: ServerProcess) -> list[int]:
    return [server.pid, *workers_of(server)]


def check_that_it_lives(server: ServerProcess, before: list[int]) -> None:
    """The same processes answer rightly, nothing hangs in them, and the log tells of no surprise."""
    heal(server)
    assert server.stub.Classify(request(0), timeout=20).model_version == "1"
    wait_until_idle(server)
    assert processes(server) == before, server.log
    surprises = re.findall(r".*unexpected error[^\n]*", server.log)
    assert surprises == [], server.log


def test_every_kept_message_names_a_method() -> None:
    assert set(KEPT) <= {rpc.path for rpc in RPCS}
    assert "/conveyor.v1.ClassifierService/Classify" in KEPT


def test_kept_messages_are_answered_or_refused(server: ServerProcess) -> None:
    before = processes(server)
    by_path = {rpc.path: rpc for rpc in RPCS}
    fire(server, (Shot(rpc=by_path[path], payloads=[data]) for path, kept in KEPT.items() for data in kept))
    check_that_it_lives(server, before)


@pytest.mark.timeout(LONG)
def test_chance_finds_no_message_that_harms(server: ServerProcess) -> None:
    before, choice = processes(server), random.Random(6)
    rounds = max(1, count("fuzzed messages") // ROUND)
    early = 0.0
    for number in range(rounds):
        fire(server, (shot(choice, RPCS, KEPT) for _ in range(ROUND)))
        heal(server)
        if number == rounds // 10:
            early = resident_mib(before)
    check_that_it_lives(server, before)
    assert resident_mib(before) < early * MAX_GROWTH + IN_FLIGHT_MIB


@pytest.mark.timeout(LONG)
@settings(max_examples=count("messages found by hypothesis"), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_hypothesis_finds_no_message_that_harms(server: ServerProcess, choice: random.Random) -> None:
    fire(server, [shot(choice, RPCS, KEPT)])


@pytest.mark.parametrize("size", [MAX_MESSAGE_BYTES + 1, 3 * MAX_MESSAGE_BYTES])
def test_a_message_over_the_limit_is_refused_and_nothing_else(server: ServerProcess, size: int) -> None:
    before = processes(server)
    rpc = next(rpc for rpc in RPCS if rpc.path.endswith("/Classify"))
    large = pb.ClassifyRequest(model_name="tiny", images=[pb.Image(encoded=bytes(size))]).SerializeToString()
    fire(server, [Shot(rpc=rpc, payloads=[large])] * 3)
    check_that_it_lives(server, before)
