"""Our own clients at a server that asks for both, a certificate and a token: the library, asyncio, and the commands."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from conveyor_cli.main import main
from conveyor_client import AccessDenied, AsyncClient, Client, Connection, InsecureConnection, ServerUnavailable
from conveyor_contract.preprocessing import encode_png
from tests.clients.certificates import Authority
from tests.server.doors.secure import Caller, ServerFiles, caller_of
from tests.server.doors.test_tokens import ADMIN, INFERENCE, TokenFiles
from tests.server.process import ServerProcess, running

PNG = encode_png(np.zeros((8, 8, 1), np.uint8))


@pytest.fixture(scope="module")
def caller(authority: Authority) -> Caller:
    return caller_of(authority, name="client")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a token for each group, and a picture."""
    folder: Path = tmp_path_factory.mktemp("clients")
    (folder / "zeros.png").write_bytes(PNG)
    (folder / "old").write_text("old-secret")
    return folder


@pytest.fixture(scope="module")
def server(engine: str, models: Path, authority: Authority, caller: Caller, folder: Path) -> Iterator[ServerProcess]:
    certificates = ServerFiles(folder, authority, authority)
    tokens = TokenFiles(folder)
    flags = ("--engine", engine, *certificates.flags, *tokens.flags)
    with running(models, *flags, credentials=caller.credentials()) as process:
        yield process


def connection(caller: Caller, token: str | None) -> Connection:
    return Connection(root_certificates=caller.root, certificate=caller.certificate, key=caller.key, token=token)


def test_the_client_and_what_it_says_without_one_of_them(
    server: ServerProcess, caller: Caller, authority: Authority
) -> None:
    with Client(server.address, connection=connection(caller, INFERENCE)) as client:
        assert client.classify(PNG, model="tiny").label
        assert client.ready()
        assert [answer.label for answer in client.stream([PNG] * 3, model="tiny")]
    for token in (None, "old-secret"):
        with (
            Client(server.address, connection=connection(caller, token), max_attempts=1) as client,
            pytest.raises(AccessDenied),
        ):
            client.classify(PNG, model="tiny")
    nobody = Connection(root_certificates=authority.root, token=INFERENCE)
    with Client(server.address, connection=nobody, max_attempts=1) as client, pytest.raises(ServerUnavailable):
        client.classify(PNG, model="tiny")
    stranger = Connection(token=INFERENCE, server_name="localhost")
    with Client(server.address, connection=stranger, max_attempts=1) as client, pytest.raises(InsecureConnection):
        client.classify(PNG, model="tiny")


def test_the_asyncio_client(server: ServerProcess, caller: Caller) -> None:
    async def calls() -> None:
        async with AsyncClient(server.address, connection=connection(caller, INFERENCE)) as client:
            assert (await client.classify(PNG, model="tiny")).label
        async with AsyncClient(server.address, connection=connection(caller, "old-secret"), max_attempts=1) as client:
            with pytest.raises(AccessDenied):
                await client.classify(PNG, model="tiny")

    asyncio.run(calls())


def command(server: ServerProcess, caller: Caller, token: Path, *words: str) -> int:
    """The exit code of a command of ours."""
    assert caller.certificate is not None
    assert caller.key is not None
    own = ("--certificate", str(caller.certificate), "--key", str(caller.key), "--token-file", str(token))
    return main([*words, "--url", server.address, "--root-certificates", str(caller.root), *own])


def test_conveyor_classify(
    server: ServerProcess, caller: Caller, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("classify", str(folder / "zeros.png"), "--model", "tiny", "--json")
    (folder / "token").write_text(INFERENCE)
    assert command(server, caller, folder / "token", *words) == 0
    assert "class " in capsys.readouterr().out
    assert command(server, caller, folder / "old", *words) == 1
    error = capsys.readouterr().err
    assert "the token is not known to this server" in error
    assert "old-secret" not in error


def test_conveyor_traffic_is_for_administrators(
    server: ServerProcess, caller: Caller, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "token").write_text(INFERENCE)
    assert command(server, caller, folder / "token", "traffic", "tiny") == 1
    assert "does not open admin" in capsys.readouterr().err
    (folder / "token").write_text(ADMIN)
    assert command(server, caller, folder / "token", "traffic", "tiny") == 0
