"""The settings of the TLS and token components, given to a real container with such secrets mounted."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from conveyor_client import Client, Connection
from conveyor_client.errors import AccessDenied
from conveyor_contract.preprocessing import encode_png
from tests.clients.certificates import Authority
from tests.deploy.containers import HARDENED, Podman, free_ports, variables, why_not
from tests.deploy.manifests import DEPLOY, ROOT, combined, container, needs_kustomize, settings_of
from tests.models import write_tiny_model

pytestmark = [
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
    needs_kustomize,
    pytest.mark.timeout(1800),
]

IMAGE = "localhost/conveyor-server:tested"
TOKENS = {group: f"{group}-token-of-a-test" for group in ("inference", "admin", "metrics")}


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """A folder as the mounted Secrets are: tls/{ca.crt,tls.crt,tls.key} and tokens/NAME."""
    for name in ("tls", "tokens"):
        (tmp_path / "secrets" / name).mkdir(parents=True)
    certificate, key = Authority(tmp_path, "authority").issue("server", "DNS:conveyor.conveyor.svc,IP:127.0.0.1")
    (tmp_path / "secrets" / "tls" / "tls.crt").write_bytes(certificate.read_bytes())
    (tmp_path / "secrets" / "tls" / "ca.crt").write_bytes((tmp_path / "authority" / "root.pem").read_bytes())
    (tmp_path / "secrets" / "tls" / "tls.key").write_bytes(key.read_bytes())
    for group, token in TOKENS.items():
        (tmp_path / "secrets" / "tokens" / group).write_text(token + "\n")
    write_tiny_model(tmp_path / "models")
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return tmp_path


def status(url: str, token: str = "") -> int:
    """The HTTP status of a GET that trusts any certificate, as the kubelet's."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, context=ssl._create_unverified_context(), timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_tls_and_tokens_as_the_components_set_them(secrets: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    podman = Podman(tmp_path_factory.mktemp("podman"))
    podman.build(IMAGE, DEPLOY / "server.Dockerfile", ROOT)
    components = ("monitoring", "kubernetes/components/tls", "kubernetes/components/tokens")
    manifests = combined(tmp_path_factory.mktemp("secured"), "cpu", *components)
    ports = free_ports()
    mounts = ("--volume", f"{secrets / 'secrets'}:/etc/conveyor:ro", "--volume", f"{secrets / 'models'}:/models:ro")
    probe = {"CONVEYOR_PROBE_CA": "/etc/conveyor/tls/ca.crt", "CONVEYOR_PROBE_SERVER_NAME": "conveyor.conveyor.svc"}
    with podman.running(IMAGE, *HARDENED, *variables({**settings_of(manifests), **ports, **probe}), *mounts) as name:
        podman.wait_until_healthy(name)
        address = f"127.0.0.1:{ports['CONVEYOR_SERVE_PORT']}"
        root = secrets / "authority" / "root.pem"
        picture = encode_png(np.zeros((8, 8, 1), np.uint8))
        with Client(address, connection=Connection(root_certificates=root, token=TOKENS["inference"])) as client:
            assert client.classify(picture, model="tiny").label.startswith("class")
        with (
            Client(address, connection=Connection(root_certificates=root), max_attempts=1) as client,
            pytest.raises(AccessDenied),
        ):
            client.classify(picture, model="tiny")
        http = f"https://127.0.0.1:{ports['CONVEYOR_SERVE_HTTP_PORT']}"
        server = container(manifests)
        for each in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert status(http + server[each]["httpGet"]["path"]) == 200
        assert status(http + "/metrics") == 401
        assert status(http + "/metrics", TOKENS["inference"]) == 403
        assert status(http + "/metrics", TOKENS["metrics"]) == 200
