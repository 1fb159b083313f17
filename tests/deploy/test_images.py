"""The larger images, and that a build can be repeated: with the full counts only, because each takes minutes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conveyor_client import Client
from tests.deploy.containers import Podman, free_ports, variables, why_not
from tests.deploy.manifests import DEPLOY, ROOT
from tests.deploy.test_containers import IMAGE, digit_images

pytestmark = [
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
    pytest.mark.skipif(os.environ.get("CONVEYOR_TEST_COUNTS") != "full", reason="with CONVEYOR_TEST_COUNTS=full only"),
    pytest.mark.timeout(3600),
]

MOST_MEGABYTES_WITH_ENVOY = 360


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Podman:
    return Podman(tmp_path_factory.mktemp("podman"))


@pytest.fixture(scope="module")
def trained(podman: Podman, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the trainer's image leaves in a folder: a network that reads digits, exported with proof."""
    podman.build("localhost/conveyor-trainer:tested", DEPLOY / "trainer.Dockerfile", ROOT)
    models = tmp_path_factory.mktemp("trained") / "models"
    models.mkdir()
    models.chmod(0o777)
    models.parent.chmod(0o755)
    command = "train mnist_cnn --data digits --run /training/run --export /models --name digits"
    options = ("--rm", "--network", "none", "--cap-drop", "ALL", "--volume", f"{models}:/models")
    said = podman.must("run", *options, "localhost/conveyor-trainer:tested", *command.split(), timeout=1800)
    assert "/models/digits/1/model.onnx" in said
    return models


def test_envoys_image_serves_what_the_trainers_image_made(podman: Podman, trained: Path) -> None:
    image = f"{IMAGE}-envoy"
    podman.build(image, DEPLOY / "server.Dockerfile", ROOT, "--build-arg", "ENGINE=envoy")
    assert podman.added_megabytes(image) <= MOST_MEGABYTES_WITH_ENVOY
    ports = free_ports()
    options = ["--read-only", "--read-only-tmpfs=false", "--tmpfs", "/tmp", "--cap-drop", "ALL", *variables(ports)]
    with podman.running(image, *options, "--volume", f"{trained}:/models:ro") as name:
        podman.wait_until_healthy(name)
        podman.wait_for_log(name, "engine=envoy")
        images, labels = digit_images(200)
        with Client(f"127.0.0.1:{ports['CONVEYOR_SERVE_PORT']}") as client:
            answers = client.classify_many(images, model="digits")
        right = sum(answer.label == str(label) for answer, label in zip(answers, labels, strict=True))
        assert right >= 0.97 * len(labels)
        podman.must("kill", "--signal", "TERM", name)
        assert podman.exit_code(name) == 0


def test_equal_sources_give_equal_layers(podman: Podman) -> None:
    layers = []
    for number in range(2):
        image = f"{IMAGE}-{number}"
        podman.build(image, DEPLOY / "server.Dockerfile", ROOT, "--no-cache", "--timestamp", "1767225600")
        layers.append(podman.inspected(image)["RootFS"]["Layers"])
    assert layers[0] == layers[1]
