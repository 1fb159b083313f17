"""The dispatcher: what it prints and exits with, and what it does not import."""

import subprocess
import sys
from pathlib import Path

import pytest

from conveyor_cli import main as dispatcher
from conveyor_cli.main import COMMANDS, main
from conveyor_client.version import __version__


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"conveyor {__version__}\n"


@pytest.mark.parametrize(("arguments", "code"), [([], 2), (["--help"], 0), (["-h"], 0), (["help"], 0)])
def test_help_lists_every_command(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == code
    lines = capsys.readouterr().out.splitlines()
    for name in COMMANDS:
        assert any(line.strip().startswith(name) for line in lines)


def test_an_unknown_command_gets_the_nearest_match(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classfy"]) == 2
    assert capsys.readouterr().err == "error: there is no command 'classfy': did you mean classify?\n"


def test_help_and_version_import_nothing_heavy() -> None:
    heavy = "{'numpy', 'pydantic', 'torch', 'onnxruntime', 'PIL', 'rich', 'grpc', 'google.protobuf'}"
    code = (
        f"import sys; from conveyor_cli.main import main; main(['--help']); print(sorted({heavy} & set(sys.modules)))"
    )
    assert run(code).stdout.splitlines()[-1] == "[]"


def hide(*packages: str) -> str:
    """Code after which the packages seem not to be installed."""
    return (
        "import sys, importlib.abc\n"
        "class Hidden(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {packages!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
        "from conveyor_cli.main import main\n"
    )


def test_a_missing_package_names_the_extra() -> None:
    done = run(hide("hdrh") + "sys.exit(main(['bench', '--model', 'm', '--duration', '0.1']))")
    assert done.returncode == 1
    assert done.stderr == "error: conveyor bench needs the package hdrh: pip install 'conveyor[bench]'\n"


def test_a_bare_install_names_the_extra_of_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import importlib.util as u; found = u.find_spec\n" + (
        "u.find_spec = lambda name, package=None: None if name == 'pydantic' else found(name, package)\n"
        "import sys; from conveyor_cli.main import main; sys.exit(main([]))"
    )
    done = run(code)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "pip install 'conveyor[cli]'" in done.stderr


def test_ctrl_c_exits_130_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(arguments: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(dispatcher, "_dispatch", interrupted)
    assert main(["bench"]) == 130
    assert capsys.readouterr().err == ""


def test_a_reader_that_has_gone_is_no_traceback() -> None:
    command = f"{sys.executable} -c 'from conveyor_cli.main import main; import sys; sys.exit(main([\"--help\"]))'"
    done = subprocess.run(  # a pipe whose reading end is closed before anything is written
        ["bash", "-c", f"set -o pipefail; (sleep 0.3; {command}) | true"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 141
    assert done.stderr == ""


def test_a_file_that_cannot_be_read_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def failing(arguments: list[str]) -> int:
        (tmp_path / "absent").read_bytes()
        return 0

    monkeypatch.setattr(dispatcher, "_dispatch", failing)
    assert main(["train"]) == 1
    assert capsys.readouterr().err.startswith("error: [Errno 2] No such file or directory")
