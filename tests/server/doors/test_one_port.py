"""gRPC and HTTP on one port with TLS: the same certificates, the same names, no way around them."""

from pathlib import Path

import grpc
import pytest

from tests.clients.certificates import Authority
from tests.server.doors.secure import Caller, ServerFiles, caller_of, code_of, status_of
from tests.server.envoy.conftest import needs
from tests.server.ports import one_port
from tests.server.process import running
from tests.server.test_lifecycle import error_of, serve

OK = grpc.StatusCode.OK


@pytest.fixture(autouse=True)
def envoy() -> None:
    needs("envoy")


def test_a_certificate_stands_for_a_token_and_cannot_be_forged(
    models: Path, authority: Authority, tmp_path: Path
) -> None:
    files, nobody = ServerFiles(tmp_path, authority, authority), Caller(root=authority.root)
    flags = (*one_port(), *files.flags, "--tls-client-auth", "optional")
    with running(models, *flags, credentials=nobody.credentials()) as server:
        assert code_of(server.address, caller_of(authority).credentials()) is OK
        assert code_of(server.address, nobody.credentials()) is grpc.StatusCode.UNAUTHENTICATED
        forged = {"x-forwarded-client-cert": 'Hash=00;URI=spiffe://ours/admin;Subject="CN=caller"'}
        assert status_of(server.address, caller_of(authority), "/v1/models") == 200
        assert status_of(server.address, nobody, "/v1/models") == 401
        assert status_of(server.address, nobody, "/v1/models", **forged) == 401
        assert status_of(server.address, nobody, "/healthz/ready") == 200


def test_it_has_one_tls_and_says_so(models: Path, authority: Authority, tmp_path: Path) -> None:
    flags = (*one_port(), *ServerFiles(tmp_path, authority).flags, "--http-tls", "off")
    result = serve(models, *flags)
    assert result.returncode == 1
    assert error_of(result) == (
        "error: on one port HTTP has the same TLS as gRPC; leave --http-tls off out, or give HTTP another port with "
        "--http-port."
    )
