"""Putting a version into a model repository: whole or not at all, and never over another without being told to."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from conveyor_contract.errors import UsageError
from conveyor_exporter.errors import ExportError

MODEL_FILE = "model.onnx"
REPORT_FILE = "report.json"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, kw_only=True)
class Destination:
    """REPOSITORY/NAME/VERSION, the version being given or the highest present plus one."""

    repository: Path
    name: str
    version: int
    force: bool

    @classmethod
    def choose(cls, repository: Path, name: str, version: int | None, force: bool) -> "Destination":
        """Raises UsageError or ExportError for an impossible name, a version that exists or a read-only place."""
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"the model name {name!r} cannot be a folder's name; use letters, digits, '.', '_' and '-', "
                "a letter or digit first."
            )
        if version is not None and version < 1:
            raise UsageError(f"the version {version} is not a positive integer.")
        taken = existing_versions(repository / name)
        destination = cls(repository=repository, name=name, version=version or max(taken, default=0) + 1, force=force)
        if destination.version in taken and not force:
            raise ExportError(
                f"{destination.folder} exists; leave --version out for version {max(taken) + 1}, or overwrite it with "
                "--force."
            )
        _check_writable(repository / name)
        return destination

    @property
    def folder(self) -> Path:
        return self.repository / self.name / str(self.version)

    @contextmanager
    def fill(self) -> Iterator[Path]:
        """A hidden folder to write into; renamed into place at the end, removed if anything fails."""
        parent = self.folder.parent
        had_parent = parent.is_dir()
        try:
            parent.mkdir(parents=True, exist_ok=True)
            hidden = Path(tempfile.mkdtemp(dir=parent, prefix=f".{self.version}-"))
        except OSError as error:
            raise ExportError(_not_writable(parent, error)) from error
        try:
            hidden.chmod(0o755)
            yield hidden
            self._put_in_place(hidden)
        except BaseException:
            shutil.rmtree(hidden, ignore_errors=True)
            if not had_parent:
                with suppress(OSError):  # not empty: somebody else has put a version there
                    parent.rmdir()
            raise

    def _put_in_place(self, hidden: Path) -> None:
        replaced = hidden.with_name(f"{hidden.name}-replaced")
        if self.folder.exists() and self.force:
            self.folder.rename(replaced)
        try:
            hidden.rename(self.folder)
        except OSError as error:
            if replaced.exists():
                replaced.rename(self.folder)
            raise ExportError(f"{self.folder} was written by somebody else meanwhile; export again.") from error
        shutil.rmtree(replaced, ignore_errors=True)


def existing_versions(model_folder: Path) -> set[int]:
    """The versions that a model's folder holds; other folders and files are not versions."""
    if not model_folder.is_dir():
        return set()
    return {
        int(entry.name) for entry in model_folder.iterdir() if entry.is_dir() and re.fullmatch(r"[1-9]\d*", entry.name)
    }


def _check_writable(folder: Path) -> None:
    """Finds out before the work, not after it, whether the folder can be made or written, by trying."""
    place = next(folder for folder in (folder, *folder.absolute().parents) if folder.exists())
    try:
        Path(tempfile.mkdtemp(dir=place, prefix=".conveyor-")).rmdir()
    except OSError as error:
        raise ExportError(
            f"{folder} cannot be written ({place}: {error.strerror or error}); choose another repository."
        ) from error


def _not_writable(folder: Path, error: OSError) -> str:
    return f"{folder} cannot be written ({error.strerror or error}); choose another repository or free the place."
