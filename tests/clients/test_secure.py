"""TLS, mutual TLS and tokens: what goes through, and the one clear exception for what does not."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from conveyor_client import (
    AccessDenied,
    AsyncClient,
    Client,
    Connection,
    ConveyorClientError,
    InsecureConnection,
    ServerUnavailable,
)
from tests.clients import scripted
from tests.clients.certificates import Authority
from tests.clients.scripted import ScriptedServer

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="the certificates are made by openssl")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"), "ours")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"), "another")


def serve(authority: Authority, *, mutual: bool, alternative: str = "IP:127.0.0.1,DNS:localhost") -> ScriptedServer:
    certificate, key = authority.issue("server", alternative)
    credentials = grpc.ssl_server_credentials(
        [(key.read_bytes(), certificate.read_bytes())],
        root_certificates=authority.root.read_bytes() if mutual else None,
        require_client_auth=mutual,
    )
    return scripted.start(scripted.Script(), credentials)


@pytest.fixture
def tls(authority: Authority) -> Iterator[ScriptedServer]:
    running = serve(authority, mutual=False)
    yield running
    running.server.stop(None).wait()


@pytest.fixture
def mutual(authority: Authority) -> Iterator[ScriptedServer]:
    running = serve(authority, mutual=True)
    yield running
    running.server.stop(None).wait()


def classify(address: str, connection: Connection) -> str:
    with Client(address, connection=connection, max_attempts=1, timeout=10) as client:
        return client.classify(b"\x01", model="m").label


def test_tls(tls: ScriptedServer, authority: Authority) -> None:
    trusting = Connection(root_certificates=authority.root)
    assert classify(f"grpcs://{tls.address}", trusting) == "one"
    assert classify(tls.address, trusting) == "one"  # giving certificates asks for TLS


def test_tls_with_asyncio(tls: ScriptedServer, authority: Authority, stranger: Authority) -> None:
    async def calls() -> None:
        async with AsyncClient(tls.address, connection=Connection(root_certificates=authority.root)) as client:
            assert (await client.classify(b"\x01", model="m")).label == "one"
        wrong = Connection(root_certificates=stranger.root)
        async with AsyncClient(tls.address, connection=wrong, max_attempts=1) as client:
            with pytest.raises(InsecureConnection):
                await client.classify(b"\x01", model="m")

    asyncio.run(calls())


def test_a_certificate_of_another_authority(tls: ScriptedServer, stranger: Authority) -> None:
    with pytest.raises(InsecureConnection, match=f"^no TLS connection to {tls.address} .*root_certificates"):
        classify(f"grpcs://{tls.address}", Connection(root_certificates=stranger.root))


def test_a_certificate_for_another_name(authority: Authority) -> None:
    running = serve(authority, mutual=False, alternative="DNS:models.example")
    try:
        with pytest.raises(InsecureConnection):
            classify(running.address, Connection(root_certificates=authority.root))
        named = Connection(root_certificates=authority.root, server_name="models.example")
        assert classify(running.address, named) == "one"
    finally:
        running.server.stop(None).wait()


def test_tls_where_the_server_has_none(server: ScriptedServer, authority: Authority) -> None:
    with pytest.raises(InsecureConnection, match="check that the server uses TLS"):
        classify(f"grpcs://{server.address}", Connection(root_certificates=authority.root))


def test_no_tls_where_the_server_wants_it(tls: ScriptedServer) -> None:
    with pytest.raises(ServerUnavailable, match="grpcs:// for TLS"):
        classify(tls.address, Connection())


def test_mutual_tls(mutual: ScriptedServer, authority: Authority, stranger: Authority) -> None:
    certificate, key = authority.issue("client", "DNS:client")
    with_ours = Connection(root_certificates=authority.root, certificate=certificate, key=key)
    assert classify(mutual.address, with_ours) == "one"
    certificate, key = stranger.issue("client", "DNS:client")
    for wrong in (
        Connection(root_certificates=authority.root),
        Connection(root_certificates=authority.root, certificate=certificate, key=key),
    ):
        with pytest.raises(ServerUnavailable):
            classify(mutual.address, wrong)


def test_files_that_are_no_certificates(tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "a.pem").write_text("text")
    for connection, message in (
        (Connection(root_certificates=tmp_path / "absent.pem"), "cannot read .*absent.pem: No such file"),
        (Connection(root_certificates=tmp_path / "a.pem"), "is no PEM file"),
        (Connection(certificate=authority.root), "needs both"),
    ):
        with pytest.raises(ConveyorClientError, match=message):
            Client("localhost:8001", connection=connection)


def _as_text(folder: Path) -> str:
    return "secret"


def _as_file(folder: Path) -> Path:
    (folder / "token").write_text("secret\n")
    return folder / "token"


def _as_function(folder: Path) -> Callable[[], str]:
    return lambda: "secret"


@pytest.mark.parametrize("given", [_as_text, _as_file, _as_function])
def test_a_token_goes_with_every_call(
    server: ScriptedServer, tmp_path: Path, given: Callable[[Path], str | Path | Callable[[], str]]
) -> None:
    server.script.token = "secret"
    with Client(server.address, connection=Connection(token=given(tmp_path))) as client:
        assert client.classify(b"\x01", model="m").label == "one"
        assert [answer.label for answer in client.stream([b"\x01", b"\x02"], model="m")] == ["one", "two"]
        assert client.model("m").labels


def test_a_token_is_asked_for_again(server: ScriptedServer, tmp_path: Path) -> None:
    """As when a file's token is renewed while the client lives."""
    token = tmp_path / "token"
    token.write_text("first")
    server.script.token = "first"
    with Client(server.address, connection=Connection(token=token)) as client:
        client.classify(b"\x01", model="m")
        token.write_text("second")
        server.script.token = "second"
        client.classify(b"\x01", model="m")


def test_an_expired_token(server: ScriptedServer) -> None:
    server.script.token = "new"
    with Client(server.address, connection=Connection(token="old")) as client:
        with pytest.raises(AccessDenied, match=rf"^the server at {server.address}: the token has expired$"):
            client.classify(b"\x01", model="m")
        with pytest.raises(AccessDenied):
            list(client.stream([b"\x01"], model="m"))
    assert len(server.script.metadata) == 2


def test_a_token_crosses_no_network_in_clear() -> None:
    with pytest.raises(ConveyorClientError, match=r"sent in clear; write grpcs://models\.example:8001"):
        Client("models.example:8001", connection=Connection(token="secret"))
    Client("models.example:8001", connection=Connection(token="secret", token_in_clear=True)).close()
    Client("grpcs://models.example:8001", connection=Connection(token="secret")).close()


def test_tokens_that_no_header_carries(tmp_path: Path, server: ScriptedServer) -> None:
    (tmp_path / "token").touch()
    for token, message in (
        (tmp_path / "token", "the token is empty"),
        ("se\ncret", "cannot carry"),
        (tmp_path / "absent", "cannot read the token file .*absent"),
    ):
        with (
            Client(server.address, connection=Connection(token=token)) as client,
            pytest.raises(ConveyorClientError, match=message) as caught,
        ):
            client.classify(b"\x01", model="m")
        assert "secret" not in str(caught.value)
