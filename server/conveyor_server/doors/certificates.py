"""The server's certificate and key, and the authorities of its callers: read together, and checked before use."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from conveyor_server.errors import StartError

if TYPE_CHECKING:
    from conveyor_server.settings import ServerSettings

_MISMATCH: Final = "KEY_VALUES_MISMATCH"


@dataclass(frozen=True, kw_only=True)
class TlsFiles:
    """Where the PEM files are. Without `client_ca` callers are not asked for a certificate."""

    certificate: Path
    key: Path
    client_ca: Path | None = None
    # Whether a caller without a certificate is turned away.
    requires_client: bool = False

    @property
    def paths(self) -> Sequence[Path]:
        """All of them."""
        return [path for path in (self.certificate, self.key, self.client_ca) if path is not None]


@dataclass(frozen=True, kw_only=True)
class Certificates:
    """PEM, of one moment: the chain fits the key."""

    chain: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None


def grpc_tls(settings: ServerSettings) -> TlsFiles | None:
    """What the gRPC port is served with; None for a plain port. Raises StartError when files are missing."""
    if settings.tls_certificate is None or settings.tls_key is None:
        given = {"--tls-certificate": settings.tls_certificate, "--tls-key": settings.tls_key}
        missing = next((name for name, path in given.items() if path is None), "")
        if any(given.values()):
            raise StartError(f"TLS needs both --tls-certificate and --tls-key; {missing} is missing.")
        if settings.tls_client_ca is not None:
            raise StartError("--tls-client-ca needs --tls-certificate and --tls-key.")
        return None
    return TlsFiles(
        certificate=settings.tls_certificate.absolute(),
        key=settings.tls_key.absolute(),
        client_ca=settings.tls_client_ca and settings.tls_client_ca.absolute(),
        requires_client=settings.tls_client_ca is not None and settings.tls_client_auth == "require",
    )


def http_tls(settings: ServerSettings) -> TlsFiles | None:
    """What the HTTP port is served with; None for a plain port. Raises StartError as `grpc_tls` does."""
    files = grpc_tls(settings)
    if files is None or settings.http_tls == "off":
        return None
    return files if settings.http_tls == "same" else TlsFiles(certificate=files.certificate, key=files.key)


def read_certificates(files: TlsFiles) -> Certificates:
    """Reads the files. Raises StartError for what is missing, no PEM, or does not fit together."""
    read = Certificates(
        chain=_content(files.certificate),
        key=_content(files.key),
        client_ca=None if files.client_ca is None else _content(files.client_ca),
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load_chain(context, files, read)
    if files.client_ca is not None:
        _load_authorities(context, files.client_ca, read.client_ca or b"")
    return read


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Python's own TLS with the files as they are now. Raises StartError as `read_certificates` does."""
    read = read_certificates(files)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load_chain(context, files, read)
    if files.client_ca is not None:
        _load_authorities(context, files.client_ca, read.client_ca or b"")
        context.verify_mode = ssl.CERT_REQUIRED if files.requires_client else ssl.CERT_OPTIONAL
    return context


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartError(f"the TLS file {path} cannot be read ({error.strerror}).") from error


def _load_chain(context: ssl.SSLContext, files: TlsFiles, read: Certificates) -> None:
    for path, content, kind in ((files.certificate, read.chain, "CERTIFICATE"), (files.key, read.key, "PRIVATE KEY")):
        if f"{kind}-----".encode() not in content:
            raise StartError(f"{path} holds no {kind.lower()} in PEM form.")

    def refuse() -> str:
        raise StartError(f"the key {files.key} has a passphrase; give one without.")

    # From what was read, not from the files again: they may have changed in between.
    with _in_memory(read.chain) as chain, _in_memory(read.key) as key:
        try:
            context.load_cert_chain(chain, key, refuse)
        except ssl.SSLError as error:
            if error.reason == _MISMATCH:
                raise StartError(
                    f"the key {files.key} does not belong to the certificate {files.certificate}."
                ) from None
            message = f"the certificate {files.certificate} or its key {files.key} is damaged ({error.reason})."
            raise StartError(message) from None


def _load_authorities(context: ssl.SSLContext, path: Path, content: bytes) -> None:
    try:
        context.load_verify_locations(cadata=content.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise StartError(f"{path} holds no certificates of authorities in PEM form.") from None


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """A file that is on no disk: Python's TLS takes a key from files only."""
    descriptor = os.memfd_create("conveyor")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
