"""Certificates that change under load: no call fails, new connections see the new one, a broken one changes nothing."""

import shutil
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from tests.clients.certificates import Authority
from tests.counts import count
from tests.server.doors.secure import SERVER_NAMES, Caller, ServerFiles, caller_of, code_of, shaken_hands, subject_of
from tests.server.process import running

OK, UNAVAILABLE = grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE
SECONDS = 20


class Load:
    """Callers that open a connection for every few calls, until told to stop."""

    def __init__(self, address: str, caller: Caller) -> None:
        self._address, self._caller = address, caller
        self._over = threading.Event()
        self.codes: list[grpc.StatusCode] = []
        self.threads = [threading.Thread(target=self._call) for _ in range(2)]

    def _call(self) -> None:
        credentials = self._caller.credentials()
        while not self._over.is_set():
            self.codes.append(code_of(self._address, credentials))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Calls for the length of a block."""
        for thread in self.threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in self.threads:
                thread.join()


def wait_until_shown(address: str, caller: Caller, name: str) -> None:
    """Returns once a port shows the certificate of that name."""
    end = time.monotonic() + SECONDS
    while subject_of(address, caller) != name:
        assert time.monotonic() < end, f"{address} never showed {name}"
        time.sleep(0.1)


def wait_until_known(address: str, caller: Caller) -> None:
    """Returns once the port takes the caller's certificate."""
    end = time.monotonic() + SECONDS
    while True:
        try:
            shaken_hands(address, caller)
        except OSError:
            assert time.monotonic() < end, f"{address} never took the new authority's callers"
            time.sleep(0.1)
        else:
            return


def test_no_call_fails_while_certificates_are_overwritten(
    engine: str, models: Path, authority: Authority, stranger: Authority, tmp_path: Path
) -> None:
    files, caller = ServerFiles(tmp_path, authority, authority), caller_of(authority)
    with running(models, "--engine", engine, *files.flags, credentials=caller.credentials()) as server:
        ports = (server.address, server.http_address)
        load = Load(server.address, caller)
        with load.running():
            for number in range(count("rotated certificates")):
                files.use(authority, f"server-{number}")
                for port in ports:
                    wait_until_shown(port, caller, f"server-{number}")
        assert len(load.codes) > 2 * len(load.threads)
        assert set(load.codes) == {OK}
        last = subject_of(server.address, caller)

        # A certificate whose key has not come along changes nothing, and the log says why.
        shutil.copy(authority.issue("alone", SERVER_NAMES)[0], files.certificate)
        server.wait_for_log(
            "the changed certificate cannot be used, and nothing changes: the key .* does not belong to"
        )
        assert [subject_of(port, caller) for port in ports] == [last, last]
        assert code_of(server.address, caller.credentials()) is OK

        # From now on another authority's callers come in, and nobody else.
        files.use(authority, "server-again")
        files.trust(stranger)
        other = caller_of(stranger, trusting=authority)
        for port in ports:
            wait_until_known(port, other)
        assert code_of(server.address, other.credentials()) is OK
        assert code_of(server.address, caller.credentials()) is UNAVAILABLE
        with pytest.raises((ssl.SSLError, ConnectionError)):
            shaken_hands(server.http_address, caller)


def test_a_mount_whose_links_move_is_noticed(models: Path, authority: Authority, tmp_path: Path, engine: str) -> None:
    """As an orchestrator updates a secret: a link to a folder is replaced, the files' own links stay."""
    for version in ("one", "two"):
        certificate, key = authority.issue(version, SERVER_NAMES)
        folder = tmp_path / f"..{version}"
        folder.mkdir()
        shutil.copy(certificate, folder / "tls.crt")
        shutil.copy(key, folder / "tls.key")
    (tmp_path / "..data").symlink_to("..one")
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    caller = Caller(root=authority.root)
    flags = ("--tls-certificate", str(tmp_path / "tls.crt"), "--tls-key", str(tmp_path / "tls.key"))
    with running(models, "--engine", engine, *flags, credentials=caller.credentials()) as server:
        assert subject_of(server.address, caller) == "one"
        (tmp_path / "..data_tmp").symlink_to("..two")
        (tmp_path / "..data_tmp").replace(tmp_path / "..data")
        for port in (server.address, server.http_address):
            wait_until_shown(port, caller, "two")
