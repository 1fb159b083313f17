"""The environments of the other servers: each its own, so that nobody's dependencies decide for another's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from conveyor_client import ConveyorClientError

FOLDER = Path(".venv-rivals")
# Debian's own: PyTriton's embedded interpreter fails with some patch releases of Python 3.11.
_DEBIAN_PYTHON = "/usr/bin/python3.11"


@dataclass(frozen=True, kw_only=True)
class Rival:
    """Another server: what is installed for it, and the script of ours that puts the model into it."""

    name: str
    packages: tuple[str, ...]
    script: Path
    debian_python: bool = False

    def prepare(self) -> Path:
        """Its interpreter, in an environment that is made the first time. Raises ConveyorClientError."""
        folder = FOLDER / self.name.lower()
        python = folder / "bin" / "python"
        marker = folder / ".ready"
        if not marker.exists():
            sys.stdout.write(f"installing {self.name} into {folder}\n")
            base = _DEBIAN_PYTHON if self.debian_python and shutil.which(_DEBIAN_PYTHON) else sys.executable
            _run([base, "-m", "venv", "--clear", str(folder)])
            _run([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *self.packages])
            marker.touch()
        return python


_HERE = Path(__file__).parent
RIVALS = (
    Rival(
        name="MLServer",
        packages=("mlserver==1.7.1", "onnxruntime==1.31.1"),
        script=_HERE / "mlserver_rival.py",
    ),
    Rival(
        name="PyTriton",
        packages=("nvidia-pytriton==0.7.0", "onnxruntime==1.31.1"),
        script=_HERE / "pytriton_rival.py",
        debian_python=True,
    ),
)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ConveyorClientError(f"{' '.join(command)} failed: {(done.stdout + done.stderr)[-400:]}")
