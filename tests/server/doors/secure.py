"""Servers with TLS and callers with certificates, for tests."""

from __future__ import annotations

import http.client
import shutil
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from conveyor.v1 import classifier_pb2 as pb
from tests.clients.certificates import Authority

# The preface, and a frame of settings.
HTTP2_START = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
SERVER_NAMES = "IP:127.0.0.1,DNS:localhost"
IMAGE = pb.Image(
    pixels=pb.RawPixels(height=8, width=8, colour_mode="COLOUR_MODE_GRAYSCALE", data=bytes(64))  # type: ignore[arg-type]  # protobuf takes names
)
REQUEST = pb.ClassifyRequest(model_name="tiny", images=[IMAGE])


@dataclass(frozen=True, kw_only=True)
class Caller:
    """PEM files of a caller: whom it trusts, and perhaps its own certificate."""

    root: Path
    certificate: Path | None = None
    key: Path | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """For a channel."""
        own = self.certificate, self.key
        key, chain = (None, None) if None in own else (self.key.read_bytes(), self.certificate.read_bytes())  # type: ignore[union-attr]  # both are there
        return grpc.ssl_channel_credentials(self.root.read_bytes(), key, chain)

    def context(self) -> ssl.SSLContext:
        """For HTTP."""
        context = ssl.create_default_context(cafile=self.root)
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context


def caller_of(authority: Authority, trusting: Authority | None = None, name: str = "caller") -> Caller:
    """A caller whom `authority` certifies, as DNS name `name`.example."""
    certificate, key = authority.issue(name, f"DNS:{name}.example")
    return Caller(root=(trusting or authority).root, certificate=certificate, key=key)


class ServerFiles:
    """The PEM files that a server is given, which a test replaces."""

    def __init__(self, folder: Path, authority: Authority, client_ca: Authority | None = None) -> None:
        self.certificate, self.key, self.client_ca = folder / "tls.crt", folder / "tls.key", folder / "ca.crt"
        self.use(authority, "server")
        self._has_ca = client_ca is not None
        if client_ca is not None:
            self.trust(client_ca)

    @property
    def flags(self) -> Sequence[str]:
        """For `conveyor serve`."""
        own = ["--tls-certificate", str(self.certificate), "--tls-key", str(self.key)]
        return [*own, "--tls-client-ca", str(self.client_ca)] if self._has_ca else own

    def use(self, authority: Authority, name: str) -> None:
        """Another certificate, written over the old one."""
        certificate, key = authority.issue(name, SERVER_NAMES)
        shutil.copy(certificate, self.certificate)
        shutil.copy(key, self.key)

    def trust(self, authority: Authority) -> None:
        """Callers of another authority."""
        shutil.copy(authority.root, self.client_ca)


def code_of(
    address: str,
    credentials: grpc.ChannelCredentials | None,
    metadata: Sequence[tuple[str, str]] = (),
    timeout: float = 10,
) -> grpc.StatusCode:
    """How a call ends, on a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channel = (
        grpc.secure_channel(address, credentials, options) if credentials else grpc.insecure_channel(address, options)
    )
    with channel:
        call: Any = channel.unary_unary(
            "/conveyor.v1.ClassifierService/Classify",
            request_serializer=pb.ClassifyRequest.SerializeToString,
            response_deserializer=pb.ClassifyResponse.FromString,
        )
        try:
            call(REQUEST, timeout=timeout, metadata=metadata)
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK


def subject_of(address: str, caller: Caller) -> str:
    """The common name in the certificate that a TLS port shows now."""
    host, _, port = address.rpartition(":")
    context = caller.context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    plain = socket.create_connection((host, int(port)), timeout=10)
    with context.wrap_socket(plain, server_hostname=host) as connection:
        certificate: Any = connection.getpeercert()
    subject = {key: value for part in certificate["subject"] for key, value in part}
    return str(subject["commonName"])


def status_of(address: str, caller: Caller | None, path: str = "/healthz", **headers: str) -> int:
    """The status of an HTTP request on a connection of its own; with a caller over TLS."""
    host, _, port = address.rpartition(":")
    connection: http.client.HTTPConnection = (
        http.client.HTTPSConnection(host, int(port), context=caller.context(), timeout=10)
        if caller
        else http.client.HTTPConnection(host, int(port), timeout=10)
    )
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def shaken_hands(address: str, caller: Caller) -> None:
    """Connects, and waits until the server has said what it thinks of the caller's certificate. Raises OSError."""
    host, _, port = address.rpartition(":")
    context = caller.context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    plain = socket.create_connection((host, int(port)), timeout=10)
    with context.wrap_socket(plain, server_hostname=host) as connection:
        # With TLS 1.3 the refusal comes after the handshake, in place of an answer: each protocol has a first word
        # to which there is one.
        h2 = connection.selected_alpn_protocol() == "h2"
        connection.sendall(HTTP2_START if h2 else b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n")
        if not connection.recv(1):
            raise ConnectionError("the server has closed the connection")
