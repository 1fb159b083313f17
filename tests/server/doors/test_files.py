"""Files of tokens and certificates: what is wrong with one is said in one sentence, without its content."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from conveyor_server.doors.certificates import grpc_tls, http_tls, read_certificates
from conveyor_server.doors.file_watch import FileWatch, state_of
from conveyor_server.doors.tokens import Tokens, digest_in
from conveyor_server.errors import StartError
from conveyor_server.groups import Group
from conveyor_server.settings import ServerSettings
from tests.clients.certificates import Authority
from tests.server.doors.secure import ServerFiles

SECRET = "almost-a-secret"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no token"),
        (b"\n# only words\n\n", "holds no token"),
        (b"good-token\nalmost-a-secret with spaces\n", "line 2 of the token file"),
        ("almost-a-secret-é\n".encode(), "line 1 of the token file"),
        (b"almost-a-secret\x07\n", "cannot be sent in a header"),
        (b"\xff\xfe\x00", "is not text"),
    ],
)
def test_a_token_file_that_cannot_be_used_is_named_and_not_shown(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "tokens"
    path.write_bytes(content)
    with pytest.raises(StartError, match=words) as refused:
        Tokens({Group.ADMIN: path}, {})
    assert SECRET not in str(refused.value)


def test_a_token_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="absent cannot be read .No such file"):
        Tokens({Group.ADMIN: tmp_path / "absent"}, {})


def test_a_token_in_the_environment_is_checked_too() -> None:
    with pytest.raises(StartError, match="the variable CONVEYOR_SERVE_ADMIN_TOKEN cannot be sent") as refused:
        Tokens({}, {"CONVEYOR_SERVE_ADMIN_TOKEN": f"{SECRET} x"})
    assert SECRET not in str(refused.value)


def test_tokens_cannot_be_had_back(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(SECRET)
    tokens = Tokens({Group.ADMIN: path}, {})
    assert SECRET not in repr(vars(tokens))
    digest = digest_in({"authorization": f"Bearer {SECRET}"})
    assert digest is not None
    assert tokens.opened_by(digest) == {Group.INFERENCE, Group.METRICS, Group.ADMIN}


def settings(**given: object) -> ServerSettings:
    return ServerSettings.model_validate({"repository": Path("models"), **given})


@pytest.fixture
def files(authority: Authority, tmp_path: Path) -> ServerFiles:
    return ServerFiles(tmp_path, authority, authority)


def test_tls_needs_both_files(files: ServerFiles) -> None:
    for given, words in [
        ({"tls_certificate": files.certificate}, "--tls-key is missing"),
        ({"tls_key": files.key}, "--tls-certificate is missing"),
        ({"tls_client_ca": files.client_ca}, "--tls-client-ca needs"),
    ]:
        with pytest.raises(StartError, match=words):
            grpc_tls(settings(**given))
    assert grpc_tls(settings()) is None


@pytest.mark.parametrize(
    ("http", "is_tls", "asks"), [("same", True, True), ("server", True, False), ("off", False, False)]
)
def test_the_http_port_has_its_own_say(files: ServerFiles, http: str, is_tls: bool, asks: bool) -> None:
    given = {"tls_certificate": files.certificate, "tls_key": files.key, "tls_client_ca": files.client_ca}
    found = http_tls(settings(**given, http_tls=http))
    assert (found is not None) == is_tls
    assert found is None or (found.client_ca is not None) == asks


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200] + b"\n-----END CERTIFICATE-----")


def with_passphrase(files: ServerFiles) -> None:
    command = ["openssl", "pkcs8", "-topk8", "-in", str(files.key), "-out", f"{files.key}.new", "-passout", "pass:x"]
    subprocess.run(command, check=True, capture_output=True)
    Path(f"{files.key}.new").replace(files.key)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda files, _: files.certificate.unlink(), "tls.crt cannot be read .No such file"),
        (lambda files, _: files.key.write_text("key"), "tls.key holds no private key in PEM form"),
        (lambda files, _: files.certificate.write_bytes(files.key.read_bytes()), "tls.crt holds no certificate in PEM"),
        (lambda files, ours: files.key.write_bytes(ours.issue("x", "DNS:x")[1].read_bytes()), "does not belong to"),
        (lambda files, _: cut_short(files.certificate), "is damaged"),
        (lambda files, _: with_passphrase(files), "tls.key has a passphrase"),
        (lambda files, _: files.client_ca.write_text("nobody"), "ca.crt holds no certificates of authorities"),
        (lambda files, _: files.client_ca.write_bytes(b"\xff"), "ca.crt holds no certificates of authorities"),
    ],
)  # fmt: skip
def test_certificates_that_cannot_be_used_are_named(
    files: ServerFiles, authority: Authority, change: Callable[[ServerFiles, Authority], object], words: str
) -> None:
    given = {"tls_certificate": files.certificate, "tls_key": files.key, "tls_client_ca": files.client_ca}
    found = grpc_tls(settings(**given))
    assert found is not None
    read_certificates(found)
    change(files, authority)
    with pytest.raises(StartError, match=words) as refused:
        read_certificates(found)
    assert "BEGIN" not in str(refused.value)


def test_the_key_is_in_no_words(files: ServerFiles) -> None:
    found = grpc_tls(settings(tls_certificate=files.certificate, tls_key=files.key))
    assert found is not None
    assert "PRIVATE" not in repr(read_certificates(found))


class Reader:
    """Counts how often files are read again, and fails when told to."""

    def __init__(self) -> None:
        self.times = 0
        self.problem = ""

    def __call__(self) -> None:
        self.times += 1
        if self.problem:
            raise StartError(self.problem)


def test_files_are_read_again_once_they_are_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("1")
    reader = Reader()
    watch = FileWatch("tokens", [one, two], reader)

    def look() -> None:
        watch.look(state_of([one, two]))

    look()
    assert reader.times == 0
    one.write_text("12")
    look()  # seen to change: somebody may still be writing
    two.write_text("2")
    look()
    assert reader.times == 0
    look()
    look()
    assert reader.times == 1
    reader.problem = "two holds nothing."
    two.unlink()
    look()
    look()
    look()
    assert reader.times == 2
    assert "cannot be used, and nothing changes: two holds nothing." in caplog.text
