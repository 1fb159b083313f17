"""How to reach a server, beyond its address: certificates, token, compression, keepalive, balancing, hedging."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import grpc

from conveyor_client.errors import ConveyorClientError

PathLike = str | os.PathLike[str]

_COMPRESSIONS = {
    "none": grpc.Compression.NoCompression,
    "gzip": grpc.Compression.Gzip,
    "deflate": grpc.Compression.Deflate,
}


@dataclass(frozen=True, kw_only=True)
class Connection:
    """What a client may be told of its connection; the defaults are right for a server on this machine.

    Giving any certificate asks for TLS, as an address that begins with grpcs:// does.
    """

    root_certificates: PathLike | None = None  # PEM file of whom to trust; None: the authorities that gRPC brings
    certificate: PathLike | None = None  # PEM file of the client's own, for mutual TLS
    key: PathLike | None = None  # PEM file of its private key
    server_name: str = ""  # expected in the server's certificate, where that is not the address's host
    # Sent as "authorization: Bearer ...": the token itself, a file, or what gives it. Asked again for each call.
    token: str | os.PathLike[str] | Callable[[], str] | None = None
    token_in_clear: bool = False  # sends the token without TLS to other machines too, as behind a mesh's proxy
    compression: Literal["none", "gzip", "deflate"] = "none"  # worth it for raw pixels, not for image files
    keepalive: float | None = None  # seconds between pings; many servers end connections that ping within 300
    load_balancing: Literal["round_robin", "pick_first"] = "round_robin"  # over the addresses that a name has
    hedge_after: float | None = None  # seconds without an answer, after which a call is also sent a second time
    user_agent: str = ""  # your service's name and version, put before the client's own

    @property
    def uses_tls(self) -> bool:
        """Whether these settings ask for TLS by themselves."""
        return bool(self.root_certificates or self.certificate or self.key or self.server_name)

    def channel_options(self) -> list[tuple[str, str | int]]:
        """The channel arguments that follow from these settings."""
        options: list[tuple[str, str | int]] = []
        if self.server_name:
            options.append(("grpc.ssl_target_name_override", self.server_name))
        if self.keepalive is not None:
            options += [
                ("grpc.keepalive_time_ms", int(self.keepalive * 1000)),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.max_pings_without_data", 0),
            ]
        return options

    def grpc_compression(self) -> grpc.Compression:
        """gRPC's word for `compression`."""
        return _COMPRESSIONS[self.compression]

    def credentials(self) -> grpc.ChannelCredentials:
        """TLS with these certificates. Raises ConveyorClientError for a file that cannot be read."""
        if (self.certificate is None) != (self.key is None):
            raise ConveyorClientError("mutual TLS needs both: a certificate and its key")
        return grpc.ssl_channel_credentials(
            root_certificates=_read_pem(self.root_certificates),
            private_key=_read_pem(self.key),
            certificate_chain=_read_pem(self.certificate),
        )

    def read_token(self) -> str | None:
        """The token of a call that is about to start. Raises ConveyorClientError when there is none to be had."""
        token = self.token
        if token is None or isinstance(token, str):
            found = token
        elif isinstance(token, os.PathLike):
            found = _read(token, "token file").decode(errors="replace").strip()
        else:
            found = token()
        if found is not None and not (found.isascii() and found.isprintable() and found):
            raise ConveyorClientError("the token is empty or holds characters that a header cannot carry")
        return found


def _read_pem(path: PathLike | None) -> bytes | None:
    if path is None:
        return None
    content = _read(path, "certificate or key")
    if b"-----BEGIN " not in content:
        raise ConveyorClientError(f"{os.fspath(path)} is no PEM file; expected lines from -----BEGIN on")
    return content


def _read(path: PathLike, what: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConveyorClientError(f"cannot read the {what} {os.fspath(path)}: {error.strerror or error}") from error
