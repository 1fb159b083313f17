"""TLS for Envoy: what it is told of certificates, in files that it reads again when they are replaced.

Envoy gets copies, written once they are known to be good and as a whole: an overwritten file, a replaced one and a
mount whose links move all look the same to it. They stand in a folder that only this user can enter.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from conveyor_server.doors.certificates import TlsFiles, read_certificates

_TLS: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
_SERVER: Final = "server"
_CALLERS: Final = "callers"


def write_secrets(folder: Path, files: TlsFiles) -> None:
    """Writes the certificates as they are now. Raises StartError, and leaves the old ones, when they cannot be used."""
    read = read_certificates(files)
    certificate = {"certificate_chain": _inline(read.chain), "private_key": _inline(read.key)}
    _replace(folder, _SERVER, {"tls_certificate": certificate})
    if read.client_ca is not None:
        _replace(folder, _CALLERS, {"validation_context": {"trusted_ca": _inline(read.client_ca)}})


def transport_socket(folder: Path, files: TlsFiles, protocols: Sequence[str]) -> dict[str, Any]:
    """How a listener speaks TLS with what `write_secrets` wrote, and what it offers to speak inside (ALPN)."""
    common: dict[str, Any] = {
        "alpn_protocols": list(protocols),
        "tls_certificate_sds_secret_configs": [_source(folder, _SERVER)],
    }
    if files.client_ca is not None:
        common["validation_context_sds_secret_config"] = _source(folder, _CALLERS)
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{_TLS}.DownstreamTlsContext",
            "require_client_certificate": files.requires_client,
            "common_tls_context": common,
        },
    }


def _source(folder: Path, name: str) -> dict[str, Any]:
    path = {"path_config_source": {"path": str(_path(folder, name))}, "resource_api_version": "V3"}
    return {"name": name, "sds_config": path}


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def _inline(content: bytes) -> dict[str, str]:
    return {"inline_string": content.decode("ascii", "replace")}


def _replace(folder: Path, name: str, secret: dict[str, Any]) -> None:
    target = _path(folder, name)
    new = target.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(json.dumps({"resources": [{"@type": f"{_TLS}.Secret", "name": name, **secret}]}))
    # Envoy looks for exactly this: another file in the old one's place.
    new.replace(target)
