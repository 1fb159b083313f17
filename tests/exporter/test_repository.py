"""Versions are put into a repository whole or not at all."""

import os
import sys
from pathlib import Path

import pytest

from conveyor_contract.errors import UsageError
from conveyor_exporter.errors import ExportError
from conveyor_exporter.repository import Destination, existing_versions


def fill(destination: Destination, text: str = "model") -> None:
    with destination.fill() as folder:
        (folder / "model.onnx").write_text(text)


def choose(repository: Path, version: int | None = None, force: bool = False) -> Destination:
    return Destination.choose(repository, "digits", version, force)


def test_versions_count_up(repository: Path) -> None:
    for expected in (1, 2, 3):
        destination = choose(repository)
        fill(destination)
        assert destination.version == expected
    fill(choose(repository, version=9))
    assert choose(repository).version == 10
    assert existing_versions(repository / "digits") == {1, 2, 3, 9}


def test_other_folders_are_no_versions(repository: Path) -> None:
    for name in (".3-hidden", "latest", "07", "-1"):
        (repository / "digits" / name).mkdir(parents=True)
    (repository / "digits" / "5").write_text("a file")
    assert choose(repository).version == 1


def test_a_version_is_not_overwritten_without_force(repository: Path) -> None:
    fill(choose(repository), "first")
    with pytest.raises(ExportError, match="exists; leave --version out for version 2"):
        choose(repository, version=1)
    assert (repository / "digits/1/model.onnx").read_text() == "first"
    fill(choose(repository, version=1, force=True), "second")
    assert (repository / "digits/1/model.onnx").read_text() == "second"
    assert [entry.name for entry in (repository / "digits").iterdir()] == ["1"]


def test_a_failure_while_writing_leaves_nothing(repository: Path) -> None:
    with pytest.raises(RuntimeError, match="disk"), choose(repository).fill():
        raise RuntimeError("disk")
    assert not (repository / "digits").exists()


def test_a_failure_while_overwriting_leaves_the_old_version(repository: Path) -> None:
    fill(choose(repository), "first")
    with pytest.raises(RuntimeError, match="disk"), choose(repository, version=1, force=True).fill():
        raise RuntimeError("disk")
    assert (repository / "digits/1/model.onnx").read_text() == "first"
    assert [entry.name for entry in (repository / "digits").iterdir()] == ["1"]


def test_a_version_written_meanwhile_is_kept(repository: Path) -> None:
    late = choose(repository)
    fill(choose(repository), "other")
    with pytest.raises(ExportError, match="written by somebody else"):
        fill(late, "late")
    assert (repository / "digits/1/model.onnx").read_text() == "other"


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b", "x" * 200])
def test_an_impossible_name_is_refused(name: str, repository: Path) -> None:
    with pytest.raises(UsageError, match="cannot be a folder's name"):
        Destination.choose(repository, name, None, force=False)


def test_an_impossible_version_is_refused(repository: Path) -> None:
    with pytest.raises(UsageError, match="not a positive integer"):
        choose(repository, version=0)


@pytest.mark.parametrize("place", ["models", "models/digits"])
def test_a_file_in_a_folders_place_is_refused(place: str, tmp_path: Path) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("a file")
    with pytest.raises(ExportError, match="cannot be written"):
        choose(tmp_path / "models")


@pytest.mark.skipif(sys.platform != "linux", reason="a folder that not even root can write to")
def test_a_place_that_nobody_can_write_to_is_refused() -> None:
    with pytest.raises(ExportError, match="cannot be written"):
        choose(Path("/proc/models"))


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not stop root; the two tests above do")
def test_a_read_only_repository_is_refused(repository: Path) -> None:
    repository.mkdir()
    repository.chmod(0o500)
    with pytest.raises(ExportError, match="cannot be written"):
        choose(repository)


def test_trying_leaves_nothing_behind(tmp_path: Path) -> None:
    choose(tmp_path / "models")
    assert not list(tmp_path.iterdir())
