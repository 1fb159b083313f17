"""TLS for grpcio's server: each handshake takes the certificate that is the newest by then."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import grpc

from conveyor_server.doors.certificates import TlsFiles, read_certificates
from conveyor_server.doors.file_watch import FileWatch
from conveyor_server.errors import StartError


class GrpcioCertificates:
    """The certificate in use. `watch` has it replaced when its files change."""

    def __init__(self, files: TlsFiles) -> None:
        """Raises StartError for files that cannot be used, or for what grpcio cannot do with them."""
        if files.client_ca is not None and not files.requires_client:
            raise StartError("the engine grpcio cannot make client certificates optional; use --engine envoy.")
        self._files = files
        self._current = _configuration(files)
        # Of the last handshake.
        self._taken = self._current
        self.watch = FileWatch("certificate", files.paths, self._reload)

    def credentials(self) -> grpc.ServerCredentials:
        """For a port of grpcio's."""
        # Its stubs do not know that None is an answer.
        take = cast(Callable[[], grpc.ServerCertificateConfiguration], self._take)
        return grpc.dynamic_ssl_server_credentials(self._current, take, self._files.requires_client)

    def _take(self) -> grpc.ServerCertificateConfiguration | None:
        """Asked by grpcio before each handshake, in a thread of its own; None leaves everything as it is."""
        newest = self._current
        if newest is self._taken:
            return None
        self._taken = newest
        return newest

    def _reload(self) -> None:
        self._current = _configuration(self._files)


def _configuration(files: TlsFiles) -> grpc.ServerCertificateConfiguration:
    read = read_certificates(files)
    return grpc.ssl_server_certificate_configuration([(read.key, read.chain)], root_certificates=read.client_ca)
