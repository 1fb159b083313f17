"""The base with the CPU overlay, run by podman from the rendered YAML; the kubelet's probe calls are made here."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import yaml
from grpc_health.v1 import health_pb2

from conveyor_client import Client
from conveyor_contract.preprocessing import encode_png
from tests.deploy.containers import Podman, why_not
from tests.deploy.manifests import DEPLOY, KUBERNETES, ROOT, Manifest, container, needs_kustomize, one, rendered
from tests.models import write_tiny_model

pytestmark = [
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
    needs_kustomize,
    pytest.mark.timeout(1800),
]

PORTS = (8001, 8002)
START_SECONDS = 60.0
POD = "conveyor-pod-0"


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Podman:
    return Podman(tmp_path_factory.mktemp("podman"))


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    """The overlay, but one pod: podman gives a container's ports to the machine, where there is one of each."""
    found = rendered(KUBERNETES / "overlays" / "cpu")
    one(found, "Deployment")["spec"]["replicas"] = 1
    return found


@contextmanager
def played(podman: Podman, manifests: list[Manifest], folder: Path) -> Iterator[None]:
    file = folder / "conveyor.yaml"
    file.write_text(yaml.safe_dump_all(manifests))
    podman("play", "kube", "--down", file)
    podman("volume", "rm", "conveyor-models")
    try:
        podman.must("play", "kube", file)
        yield
    finally:
        podman("play", "kube", "--down", file)
        podman("volume", "rm", "conveyor-models")


def probed(probe: dict[str, Any]) -> bool:
    """Asks as the kubelet would: the service that the probe names, within its timeout; healthy is SERVING."""
    with grpc.insecure_channel(f"127.0.0.1:{probe['grpc']['port']}") as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        request = health_pb2.HealthCheckRequest(service=probe["grpc"].get("service", ""))
        try:
            answer = check(request, timeout=probe["timeoutSeconds"])
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def wait_until_passed(probe: dict[str, Any]) -> None:
    end = time.monotonic() + START_SECONDS
    while not probed(probe):
        assert time.monotonic() < end, f"never passed: {probe}"
        time.sleep(0.5)


def test_the_cpu_overlay_runs_and_its_probes_tell_the_truth(
    podman: Podman, manifests: list[Manifest], tmp_path: Path
) -> None:
    for port in PORTS:
        with socket.socket() as held:
            if held.connect_ex(("127.0.0.1", port)) == 0:
                pytest.skip(f"port {port} of this machine is taken")
    podman.build("localhost/conveyor-server:cpu", DEPLOY / "server.Dockerfile", ROOT)
    server = container(manifests)
    with played(podman, manifests, tmp_path):
        # The claim is empty at first: the server lives, says why it is not ready, and is left alone.
        wait_until_passed(server["startupProbe"])
        assert probed(server["livenessProbe"])
        assert not probed(server["readinessProbe"])
        name = f"{POD}-{server['name']}"
        podman.wait_for_log(name, "holds no model that can be served")

        write_tiny_model(tmp_path / "models")
        volume = Path(podman.must("volume", "inspect", "conveyor-models", "--format", "{{.Mountpoint}}"))
        shutil.copytree(tmp_path / "models", volume, dirs_exist_ok=True)
        wait_until_passed(server["readinessProbe"])
        with Client("127.0.0.1:8001") as client:
            picture = encode_png(np.zeros((8, 8, 1), np.uint8))
            assert client.classify(picture, model="tiny").label.startswith("class")

        known = podman.inspected(name)
        assert known["HostConfig"]["ReadonlyRootfs"] is True
        assert known["Config"]["User"].partition(":")[0] == "65532"
        assert known["HostConfig"]["Memory"] == 2**30
        grace = one(manifests, "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        podman.must("stop", "--time", str(grace), name)
        assert podman.exit_code(name) == 0
        assert "stopped" in podman.logs(name)
