"""TLS sessions that are taken up again: a certificate that was good once does not stay so by that."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clients.certificates import Authority
from tests.server.doors.secure import HTTP2_START, Caller, ServerFiles, caller_of
from tests.server.doors.test_rotation import wait_until_known
from tests.server.process import running

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Returning:
    """A caller that takes up its last session again."""

    def __init__(self, caller: Caller, version: ssl.TLSVersion, protocol: str) -> None:
        self._context = caller.context()
        self._context.minimum_version = self._context.maximum_version = version
        self._context.set_alpn_protocols([protocol])
        self._protocol = protocol
        self._session: ssl.SSLSession | None = None

    def comes(self, address: str) -> bool:
        """Whether its session was taken up. Raises OSError when it is not let in."""
        with self._connected(address) as connection:
            request = HTTP2_START if self._protocol == "h2" else b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
            connection.sendall(request)
            # With TLS 1.3 the session comes with the answer, and so does a refusal.
            if not connection.recv(1):
                raise ConnectionError("the server has closed the connection")
            self._session = connection.session
            return bool(connection.session_reused)

    @contextmanager
    def _connected(self, address: str) -> Iterator[ssl.SSLSocket]:
        host, _, port = address.rpartition(":")
        with (
            socket.create_connection((host, int(port)), timeout=10) as plain,
            self._context.wrap_socket(plain, server_hostname=host, session=self._session) as connection,
        ):
            yield connection


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_no_session_outlives_the_authority_that_let_it_in(
    engine: str, models: Path, authority: Authority, stranger: Authority, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    files, caller = ServerFiles(tmp_path, authority, authority), caller_of(authority)
    with running(models, "--engine", engine, *files.flags, credentials=caller.credentials()) as server:
        ports = {server.address: "h2", server.http_address: "http/1.1"}
        returning = {address: Returning(caller, version, protocol) for address, protocol in ports.items()}
        resumed = {}
        for address, one in returning.items():
            one.comes(address)
            resumed[address] = one.comes(address)
        # Else this would prove nothing.
        assert resumed[server.http_address]
        files.trust(stranger)
        other = caller_of(stranger, trusting=authority)
        for address in ports:
            wait_until_known(address, other)
        for address, one in returning.items():
            with pytest.raises((ssl.SSLError, ConnectionError)):
                one.comes(address)
