"""The server's image, built from its Dockerfile and started as deploy/README.md says."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from conveyor_client import Client, Connection, ConveyorClientError
from conveyor_client.errors import AccessDenied, ServerUnavailable
from conveyor_contract.preprocessing import encode_png
from tests.deploy.containers import HARDENED, Podman, free_ports, variables, why_not
from tests.deploy.manifests import DEPLOY, ROOT
from tests.models import write_tiny_model

pytestmark = [
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
    pytest.mark.timeout(1800),  # the first one builds the image
]

IMAGE = "localhost/conveyor-server:tested"
MOST_MEGABYTES = 250


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Podman:
    return Podman(tmp_path_factory.mktemp("podman"))


@pytest.fixture(scope="module")
def image(podman: Podman) -> str:
    podman.build(IMAGE, DEPLOY / "server.Dockerfile", ROOT)
    return IMAGE


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a network that has learnt to read real digits, a little."""
    folder = tmp_path_factory.mktemp("digits")
    folder.chmod(0o755)
    command = [sys.executable, "-m", "conveyor_cli", "train", "mnist_cnn", "--data", "digits", "--epochs", "2"]
    command += ["--run", str(folder / "run"), "--export", str(folder / "models"), "--name", "digits"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder / "models"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    write_tiny_model(tmp_path / "models")
    for folder in (tmp_path, *tmp_path.rglob("*")):
        folder.chmod(0o755)
    return tmp_path / "models"


class Started:
    """A hardened container of the server and its address."""

    def __init__(self, name: str, ports: dict[str, str]) -> None:
        self.name = name
        self.address = f"127.0.0.1:{ports['CONVEYOR_SERVE_PORT']}"


@contextmanager
def started(podman: Podman, image: str, models: Path, *arguments: str | Path) -> Iterator[Started]:
    ports = free_ports()
    options = [*HARDENED, *variables(ports), "--volume", f"{models}:/models:ro", *arguments]
    with podman.running(image, *options) as name:
        yield Started(name, ports)


def digit_images(count: int) -> tuple[list[bytes], list[int]]:
    """Real handwritten digits as PNG files, and what they are."""
    data = load_digits()
    return [encode_png((each * 255 / 16).astype(np.uint8)[..., None]) for each in data.images[-count:]], [
        int(label) for label in data.target[-count:]
    ]


def test_the_image_holds_what_it_needs_and_little_else(podman: Podman, image: str) -> None:
    known = podman.inspected(image)
    config = known["Config"]
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["conveyor", "serve"]
    assert config["StopSignal"] == "SIGTERM"
    assert set(config["ExposedPorts"]) == {"8001/tcp", "8002/tcp"}
    assert config["Labels"]["org.opencontainers.image.title"] == "conveyor-server"
    assert podman.added_megabytes(image) <= MOST_MEGABYTES
    code = (
        "import importlib.util as u, shutil; names = ['torch', 'onnx', 'pip', 'setuptools', 'sklearn'];"
        "print([n for n in names if u.find_spec(n)], [c for c in ['gcc', 'cc', 'make'] if shutil.which(c)])"
    )
    found = podman.must("run", "--rm", "--network", "none", "--entrypoint", "python", image, "-c", code)
    assert found == "[] []"


def test_it_serves_real_digits_from_a_read_only_container(podman: Podman, image: str, digits: Path) -> None:
    with started(podman, image, digits) as server:
        podman.wait_until_healthy(server.name)
        known = podman.inspected(server.name)
        assert known["HostConfig"]["ReadonlyRootfs"] is True
        assert not known["EffectiveCaps"]
        inside = "import os; print(os.getuid()); open('/tmp/x', 'w')"
        written = podman("exec", server.name, "python", "-c", inside)
        assert written.stdout == "65532\n"
        assert "Read-only file system" in written.stderr
        images, labels = digit_images(200)
        with Client(server.address) as client:
            answers = client.classify_many(images, model="digits")
        right = sum(answer.label == str(label) for answer, label in zip(answers, labels, strict=True))
        assert right >= 0.9 * len(labels)


def test_it_drains_under_load_and_loses_nothing(podman: Podman, image: str, tiny: Path) -> None:
    picture = encode_png(np.zeros((8, 8, 1), np.uint8))
    answered, failed = [0], list[ConveyorClientError]()
    with started(podman, image, tiny, "--env", "CONVEYOR_SERVE_DRAIN_DELAY=1") as server:
        podman.wait_until_healthy(server.name)

        def call_until_refused() -> None:
            with Client(server.address, max_attempts=1) as client:
                while True:
                    try:
                        client.classify(picture, model="tiny")
                        answered[0] += 1
                    except ConveyorClientError as error:
                        failed.append(error)
                        return

        callers = [threading.Thread(target=call_until_refused) for _ in range(8)]
        for each in callers:
            each.start()
        while answered[0] < 200:
            assert any(each.is_alive() for each in callers), failed
        before = answered[0]
        podman.must("kill", "--signal", "TERM", server.name)
        assert podman.exit_code(server.name) == 0
        for each in callers:
            each.join()
        assert answered[0] > before, "it serves on while the balancers look away"
        assert [error for error in failed if not isinstance(error, ServerUnavailable)] == []
        assert "stopped" in podman.logs(server.name)


def test_an_empty_volume_is_lived_with_and_named(podman: Podman, image: str, tmp_path: Path) -> None:
    empty = tmp_path / "models"
    empty.mkdir()
    tmp_path.chmod(0o755)
    with started(podman, image, empty) as server:
        podman.wait_for_log(server.name, "not ready .* /models holds no model that can be served")
        assert podman("healthcheck", "run", server.name).returncode == 1
        assert podman.inspected(server.name)["State"]["Running"] is True
    with started(podman, image, empty, "--env", "CONVEYOR_SERVE_REQUIRE_MODEL=digits") as server:
        assert podman.exit_code(server.name) == 1
        assert "digits" in podman.logs(server.name)


def test_a_missing_repository_is_named(podman: Podman, image: str) -> None:
    with podman.running(image, *HARDENED, *variables(free_ports()), command=["/nowhere"]) as name:
        assert podman.exit_code(name) == 1
        said = podman.logs(name)
    assert "/nowhere" in said
    assert "Traceback" not in said


def test_a_wrong_token_opens_nothing(podman: Podman, image: str, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "inference").write_text("right-token-of-some-length\n")
    (tmp_path / "inference").chmod(0o644)
    secret = ("--volume", f"{tmp_path / 'inference'}:/etc/conveyor/inference:ro")
    setting = ("--env", "CONVEYOR_SERVE_INFERENCE_TOKEN_FILE=/etc/conveyor/inference")
    picture = encode_png(np.zeros((8, 8, 1), np.uint8))
    with started(podman, image, tiny, *secret, *setting) as server:
        podman.wait_until_healthy(server.name)
        with Client(server.address, connection=Connection(token="right-token-of-some-length")) as client:
            assert client.classify(picture, model="tiny").label.startswith("class")
        with (
            Client(server.address, connection=Connection(token="wrong"), max_attempts=1) as client,
            pytest.raises(AccessDenied),
        ):
            client.classify(picture, model="tiny")
        assert "right-token" not in podman.logs(server.name)


def test_too_little_memory_ends_it_with_a_reason(podman: Podman, image: str, tiny: Path) -> None:
    with started(podman, image, tiny, "--memory", "64m") as server:
        assert podman.exit_code(server.name) == 1
        assert "may use 64 MiB of memory, and a server needs 128 MiB" in podman.logs(server.name)


def test_a_cuda_image_without_a_gpu_says_so_and_ends(podman: Podman, image: str, tiny: Path) -> None:
    # The CUDA image differs in its runtime, too large to build here, and in this setting.
    with started(podman, image, tiny, "--env", "CONVEYOR_SERVE_DEVICE=cuda") as server:
        assert podman.exit_code(server.name) == 1
        said = podman.logs(server.name)
    assert "CUDA" in said
    assert "Traceback" not in said


def test_the_bill_of_materials_lists_what_is_inside(podman: Podman, image: str, tmp_path: Path) -> None:
    bill = f"{IMAGE}-bill"
    podman.build(bill, DEPLOY / "bill.Dockerfile", ROOT, "--build-arg", f"IMAGE={image}")
    container = podman.must("create", bill, "nothing")
    podman.must("cp", f"{container}:/conveyor.cdx.json", tmp_path)
    podman.must("rm", container)
    listed = json.loads((tmp_path / "conveyor.cdx.json").read_text(encoding="utf-8"))
    assert listed["bomFormat"] == "CycloneDX"
    components = {f"{each['name'].lower()} {each['version']}" for each in listed["components"]}
    code = "from importlib.metadata import distributions as d; print([f'{x.name.lower()} {x.version}' for x in d()])"
    inside = podman.must("run", "--rm", "--network", "none", "--entrypoint", "python", image, "-c", code)
    packages = {each for each in ast.literal_eval(inside) if not each.startswith("conveyor ")}
    assert packages
    assert packages <= components
