"""Trials on a real server: a wrong version is found out and rolled back by itself, a good one is promoted."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

import grpc
import pytest

from conveyor.v1 import admin_pb2 as pb
from conveyor.v1.classifier_pb2_grpc import ClassifierServiceStub
from conveyor_cli.main import main
from conveyor_client.admin import AdminClient
from conveyor_client.errors import ConveyorClientError
from tests.server.envoy.test_workers import workers_of
from tests.server.metrics.pages import Page
from tests.server.process import ServerProcess
from tests.server.traffic.digits import MAX_BATCH_SIZE, NAME, held_out, request

SECONDS = 30
SERVES_AGAIN = "another worker serves in its place"
WELL = pb.TrafficLimits(min_rows=300, min_agreement=0.9, max_error_share=0.01)


def until(condition: Callable[[], bool]) -> None:
    """Waits for it."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def answering(server: ServerProcess, rows: int = 400) -> Counter[str]:
    """Sends that many held-out images over connections of their own, so that every worker sees some."""
    images, versions = held_out(), Counter[str]()
    for start in range(0, rows, MAX_BATCH_SIZE):
        with grpc.insecure_channel(server.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            chosen = images[start % 500 : start % 500 + MAX_BATCH_SIZE]
            answer = ClassifierServiceStub(channel).Classify(request(chosen, request_id=f"id {start}"), timeout=SECONDS)
        assert len(answer.results) == MAX_BATCH_SIZE
        versions[answer.model_version] += 1
    return versions


def test_a_version_with_wrong_labels_is_rolled_back_by_itself(server: ServerProcess, admin: AdminClient) -> None:
    before = Page(server).sum("conveyor_rollbacks_total", reason="agreement")
    admin.set_traffic(NAME, pb.TrafficRule(shadow_version="3", limits=WELL))
    assert answering(server, 800).keys() == {"1"}, "a shadow answers nobody"
    until(lambda: admin.traffic(NAME).rule.shadow_version == "")
    traffic = admin.traffic(NAME)
    assert (traffic.rule.stable_version, list(traffic.rejected_versions)) == ("1", ["3"])
    decision = traffic.decisions[-1]
    assert (decision.step, decision.automatic, decision.trial_version) == (pb.STEP_ROLLED_BACK, True, "3")
    assert "agreement is 0." in decision.reason
    assert Page(server).sum("conveyor_rollbacks_total", reason="agreement") == before + 1
    server.wait_for_log(r"rolling back model=digits version=3 to version=1: agreement is")
    assert answering(server).keys() == {"1"}
    # Who names it is still answered by it.
    assert server.stub.Classify(request(held_out()[:1], version="3")).model_version == "3"


def test_a_good_version_stays_on_trial_and_is_promoted(server: ServerProcess, admin: AdminClient) -> None:
    admin.set_traffic(NAME, pb.TrafficRule(shadow_version="2", limits=WELL))
    answering(server, 800)
    until(lambda: admin.traffic(NAME).comparison.rows >= WELL.min_rows)
    comparison = admin.traffic(NAME).comparison
    assert 0.9 <= comparison.agreement <= 1
    assert comparison.trial_us > 0
    assert comparison.trial_failed_rows == 0
    page = Page(server)
    labels = {"model": NAME, "version": "2", "stable": "1", "kind": "shadow"}
    assert page.value("conveyor_shadow_rows_total", **labels) >= comparison.rows
    assert 0.9 <= page.value("conveyor_shadow_agreement_ratio", **labels) <= 1
    assert page.value("conveyor_shadow_seconds_count", **labels) > 0
    assert admin.promote(NAME).rule.stable_version == "2"
    assert answering(server).keys() == {"2"}
    assert admin.roll_back(NAME, "a try").decisions[-1].reason == "a try"
    assert answering(server).keys() == {"1"}


def test_a_wrong_canary_answers_its_share_and_is_rolled_back(server: ServerProcess, admin: AdminClient) -> None:
    rule = pb.TrafficRule(canary_version="3", canary_share=0.5, sticky_key="request-id")
    admin.set_traffic(NAME, rule)
    first = answering(server, 800)
    assert 10 <= first["3"] <= 40
    assert answering(server, 800) == first, "equal ids go to equal versions"
    rule.limits.CopyFrom(WELL)
    admin.set_traffic(NAME, rule)
    answering(server, 800)
    until(lambda: list(admin.traffic(NAME).rejected_versions) == ["3"])
    assert answering(server).keys() == {"1"}


def test_the_inference_protocol_follows_the_rule_too(server: ServerProcess, admin: AdminClient) -> None:
    triton = pytest.importorskip("tritonclient.grpc")
    admin.set_traffic(NAME, pb.TrafficRule(canary_version="2", canary_share=0.5, sticky_key="x-user"))
    rows = held_out()[:2]
    tensor = triton.InferInput("image", list(rows.shape), "UINT8")
    tensor.set_data_from_numpy(rows)
    with triton.InferenceServerClient(server.address) as client:

        def version_for(user: int) -> str:
            answer = client.infer(NAME, [tensor], headers={"x-user": str(user)})
            return str(answer.get_response().model_version)

        versions = [version_for(user) for user in range(40)]
        assert set(versions) == {"1", "2"}
        assert [version_for(user) for user in range(40)] == versions
        assert client.infer(NAME, [tensor], model_version="3").get_response().model_version == "3"


def test_a_worker_that_is_started_again_follows_the_decision(server: ServerProcess, admin: AdminClient) -> None:
    workers = workers_of(server)
    if len(workers) < 2:
        pytest.skip("there is one worker, which ends the server with it")
    admin.promote(NAME, "2")
    for worker in workers:
        serving_again = server.log.count(SERVES_AGAIN) + 1
        os.kill(worker, signal.SIGKILL)
        until(partial(_says, server, SERVES_AGAIN, serving_again))
    assert answering(server).keys() == {"2"}
    assert admin.traffic(NAME).rule.stable_version == "2"


def _says(server: ServerProcess, words: str, times: int) -> bool:
    return server.log.count(words) >= times


def test_what_cannot_be_done_is_one_sentence(server: ServerProcess, admin: AdminClient) -> None:
    def error_of(rule: pb.TrafficRule, model: str = NAME) -> str:
        with pytest.raises(ConveyorClientError) as error:
            admin.set_traffic(model, rule)
        return str(error.value)

    assert "has no version 9" in error_of(pb.TrafficRule(shadow_version="9"))
    assert "no model 'nothing'" in error_of(pb.TrafficRule(shadow_version="2"), "nothing")
    assert "either a canary or a shadow" in error_of(pb.TrafficRule(shadow_version="2", canary_version="3"))
    assert "must lie between 0 and 1" in error_of(pb.TrafficRule(canary_version="2", canary_share=2))
    assert "not a positive whole number" in error_of(pb.TrafficRule(stable_version="newest"))
    assert "limits need a version on trial" in error_of(pb.TrafficRule(limits=WELL))
    assert admin.traffic(NAME).rule == pb.TrafficRule(stable_version="1", limits=pb.TrafficLimits(min_rows=100))


def test_the_commands_change_and_show_the_traffic(
    server: ServerProcess, admin: AdminClient, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--url", server.address]
    assert main(["traffic", NAME, "--shadow", "2", "--min-agreement", "0.9", *at]) == 0
    assert "version 2 is given 100.0% of the stable answers" in capsys.readouterr().out
    assert main(["promote", NAME, "--json", *at]) == 0
    assert json.loads(capsys.readouterr().out)["rule"]["stable_version"] == "2"
    assert main(["rollback", NAME, "--reason", "a try", *at]) == 0
    assert "rolled back by an operator: a try" in capsys.readouterr().out
    assert main(["rollback", NAME, *at]) == 1
    assert "there is nothing to roll back" in capsys.readouterr().err
    assert main(["traffic", NAME, "--clear", *at]) == 0
    assert "the newest version answers" in capsys.readouterr().out
