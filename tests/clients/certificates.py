"""Certificates for tests, made by the openssl command: an authority, a server's and a client's."""

import subprocess
from pathlib import Path


class Authority:
    """A certificate authority in a folder: `root` is the PEM file to trust."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder / name
        self.folder.mkdir()
        self.root, self._key = self.folder / "root.pem", self.folder / "root.key"
        subject = ["-subj", f"/CN={name}", "-days", "2"]
        _openssl(["req", "-x509", *_KEY, "-keyout", str(self._key), "-out", str(self.root), *subject])

    def issue(self, name: str, alternative: str) -> tuple[Path, Path]:
        """The PEM files of a certificate and its key; `alternative` is its subjectAltName."""
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        request, extension = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        extension.write_text(f"subjectAltName={alternative}\n")
        _openssl(["req", *_KEY, "-keyout", str(key), "-out", str(request), "-subj", f"/CN={name}"])
        signer = ["-CA", str(self.root), "-CAkey", str(self._key), "-CAcreateserial", "-days", "2"]
        output = ["-extfile", str(extension), "-out", str(certificate)]
        _openssl(["x509", "-req", "-in", str(request), *signer, *output])
        return certificate, key


_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def _openssl(arguments: list[str]) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
