"""A version that was rolled back by itself does not answer after a restart, however the server's processes lie."""

from pathlib import Path

import pytest

from conveyor.v1 import admin_pb2 as pb
from conveyor_client.admin import AdminClient
from tests.server.envoy.conftest import needs
from tests.server.process import running
from tests.server.traffic.digits import NAME
from tests.server.traffic.test_safe_change import answering, until

LIMITS = pb.TrafficLimits(min_rows=100, min_agreement=0.9)


@pytest.mark.parametrize("layout", ["grpcio/1", "grpcio/2", "envoy/1"])
def test_a_roll_back_outlives_the_server(layout: str, digits: Path, tmp_path: Path) -> None:
    engine, workers = layout.split("/")
    needs(engine)
    flags = ("--engine", engine, "--workers", workers, "--version-policy", "all")
    remembering = (*flags, "--traffic-state", str(tmp_path / "traffic.json"))
    with running(digits, *remembering) as server, AdminClient(server.address) as admin:
        # Version 3, of wrong labels, is the newest.
        rule = pb.TrafficRule(stable_version="1", canary_version="3", canary_share=0.5, limits=LIMITS)
        admin.set_traffic(NAME, rule)
        until(lambda: bool(answering(server)) and list(admin.traffic(NAME).rejected_versions) == ["3"])
        before = admin.traffic(NAME)
    with running(digits, *remembering) as server, AdminClient(server.address) as admin:
        server.wait_for_log("traffic model=digits is as it was last decided: stable=1")
        assert admin.traffic(NAME) == before
        assert answering(server).keys() == {"1"}
        admin.promote(NAME, "2")
    with running(digits, *remembering) as server:
        assert answering(server).keys() == {"2"}
    with running(digits, *flags) as server:
        assert answering(server).keys() == {"3"}, "without it the newest answers again"
