"""TLS and mutual TLS on every port and engine: who comes in, and who tries to and does not."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from conveyor_client import Client, Connection, InsecureConnection
from conveyor_contract.preprocessing import encode_png
from tests.clients.certificates import Authority
from tests.server.doors.secure import Caller, ServerFiles, caller_of, code_of, status_of
from tests.server.process import ServerProcess, running

UNAVAILABLE, OK = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.OK
PNG = encode_png(np.zeros((8, 8, 1), np.uint8))
LABELS = ("class 0", "class 1", "class 2")
REFUSED = (ssl.SSLError, ConnectionError)


@pytest.fixture(scope="module")
def tls(
    engine: str, models: Path, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    files = ServerFiles(tmp_path_factory.mktemp("tls"), authority)
    trusting = Caller(root=authority.root).credentials()
    with running(models, "--engine", engine, *files.flags, credentials=trusting) as process:
        yield process


@pytest.fixture(scope="module")
def mutual(
    engine: str, models: Path, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    files = ServerFiles(tmp_path_factory.mktemp("mutual"), authority, authority)
    known = caller_of(authority).credentials()
    with running(models, "--engine", engine, *files.flags, credentials=known) as process:
        yield process


def test_with_tls_only_who_speaks_it_and_trusts_it_is_answered(
    tls: ServerProcess, authority: Authority, stranger: Authority
) -> None:
    trusting = Caller(root=authority.root)
    assert code_of(tls.address, trusting.credentials()) is OK
    assert code_of(tls.address, Caller(root=stranger.root).credentials()) is UNAVAILABLE
    assert code_of(tls.address, None, timeout=3) in (UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    assert status_of(tls.http_address, trusting, "/healthz/ready") == 200
    with pytest.raises(REFUSED):
        status_of(tls.http_address, Caller(root=stranger.root))
    with pytest.raises(REFUSED):
        status_of(tls.http_address, None)


def test_the_python_client_says_what_is_wrong_with_the_certificates(
    tls: ServerProcess, authority: Authority, stranger: Authority
) -> None:
    with Client(tls.address, connection=Connection(root_certificates=authority.root)) as client:
        assert client.classify(PNG, model="tiny").label in LABELS
    with (
        Client(tls.address, connection=Connection(root_certificates=stranger.root), max_attempts=1) as client,
        pytest.raises(InsecureConnection),
    ):
        client.classify(PNG, model="tiny")


def test_with_mutual_tls_only_who_shows_a_certificate_of_ours_is_answered(
    mutual: ServerProcess, authority: Authority, stranger: Authority
) -> None:
    known, unknown = caller_of(authority), caller_of(stranger, trusting=authority)
    nobody = Caller(root=authority.root)
    assert code_of(mutual.address, known.credentials()) is OK
    for refused in (unknown, nobody):
        assert code_of(mutual.address, refused.credentials()) is UNAVAILABLE
        with pytest.raises(REFUSED):
            status_of(mutual.http_address, refused)
    assert status_of(mutual.http_address, known, "/v2/health/ready") == 200
    assert status_of(mutual.http_address, known, "/v2/repository/models/tiny/load") in (400, 405, 501)


def test_optional_certificates_stand_for_a_token_and_cannot_be_forged(
    models: Path, authority: Authority, tmp_path: Path, engine: str
) -> None:
    if engine == "grpcio":
        pytest.skip("grpcio cannot make certificates optional, and says so at the start")
    files, nobody = ServerFiles(tmp_path, authority, authority), Caller(root=authority.root)
    flags = ("--engine", engine, *files.flags, "--tls-client-auth", "optional")
    with running(models, *flags, credentials=nobody.credentials()) as server:
        assert code_of(server.address, caller_of(authority).credentials()) is OK
        assert code_of(server.address, nobody.credentials()) is grpc.StatusCode.UNAUTHENTICATED
        forged = [("x-forwarded-client-cert", 'Hash=00;URI=spiffe://ours/admin;Subject="CN=caller"')]
        assert code_of(server.address, nobody.credentials(), forged) is grpc.StatusCode.UNAUTHENTICATED
        assert status_of(server.http_address, caller_of(authority), "/v1/models") == 200
        assert status_of(server.http_address, nobody, "/v1/models") == 401
        assert status_of(server.http_address, nobody, "/v1/models", **dict(forged)) == 401
        assert status_of(server.http_address, nobody, "/metrics") == 200


def test_a_plain_http_port_beside_mutual_tls_is_for_probes_and_metrics_only(
    models: Path, authority: Authority, tmp_path: Path, engine: str
) -> None:
    files = ServerFiles(tmp_path, authority, authority)
    flags = ("--engine", engine, *files.flags, "--http-tls", "off")
    with running(models, *flags, credentials=caller_of(authority).credentials()) as server:
        assert status_of(server.http_address, None, "/healthz/ready") == 200
        assert status_of(server.http_address, None, "/metrics") == 200
        assert status_of(server.http_address, None, "/v1/models") == 401
        assert status_of(server.http_address, None, "/v2/systemsharedmemory/status") == 403
