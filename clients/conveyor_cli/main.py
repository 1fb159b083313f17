"""Entry point of the `conveyor` command: finds the command's module, parses its settings, runs it.

Nothing beside the standard library is imported before a command is chosen, so help and version are quick
and a bare install (grpcio and protobuf only) can still say what to install.
"""

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from conveyor_client.errors import ConveyorClientError
from conveyor_client.version import __version__
from conveyor_contract.errors import ConveyorError, UsageError
from conveyor_contract.telemetry import switch_telemetry_off
from conveyor_server.importing import collector_paused

if TYPE_CHECKING:
    from pydantic import BaseModel

# In the order of a model's way: each is the module conveyor_cli.commands.<name>. With the extra it needs beside [cli].
COMMANDS = {
    "summary": "train",
    "train": "train",
    "report": "train",
    "evaluate": "train",
    "export": "export",
    "check": "export",
    "inspect": "export",
    "adopt": "export",
    "serve": "server",
    "traffic": "cli",
    "promote": "cli",
    "rollback": "cli",
    "classify": "server",
    "bench": "bench",
    "tune": "bench",
    "deploy": "cli",
    "doctor": "cli",
    "demo": "train",
}

# Which extra brings a package; for any other package the command's own extra is named.
EXTRA_OF_PACKAGE = {
    "pydantic": "cli",
    "yaml": "cli",
    "rich": "cli",
    "torch": "train",
    "onnx": "export",
    "onnxscript": "export",
    "onnxruntime": "cpu",
    "hdrh": "bench",
    "matplotlib": "bench",
}

EXIT_OK, EXIT_FAILURE, EXIT_USAGE = 0, 1, 2
EXIT_INTERRUPTED, EXIT_BROKEN_PIPE = 130, 141  # 128 + the signal, as a shell reports it


class CommandModule(Protocol):
    """What a module under conveyor_cli.commands offers."""

    SUMMARY: str
    EXAMPLE: str
    Settings: "type[BaseModel]"

    def run(self, settings: "BaseModel", /) -> int | None:
        """Does the work; the exit code, None being 0."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line (default: the process's own) and returns its exit code; never raises for a failure."""
    switch_telemetry_off()
    try:
        code = _dispatch(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        return code
    except (ConveyorError, ConveyorClientError) as error:
        _print_error(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader has gone (`conveyor ... | head`); what is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except OSError as error:
        _print_error(str(error))
        return EXIT_FAILURE


def _dispatch(arguments: list[str]) -> int:
    first = arguments[0] if arguments else ""
    if first == "--version":
        sys.stdout.write(f"conveyor {__version__}\n")
        return EXIT_OK
    if importlib.util.find_spec("pydantic") is None:
        raise ConveyorError(
            "this install is the Python client alone; for the command line: pip install 'conveyor[cli]'"
        )
    if first in ("", "-h", "--help", "help"):
        sys.stdout.write(_overview() + "\n")
        return EXIT_OK if first else EXIT_USAGE
    if first not in COMMANDS:
        raise UsageError(_unknown_command(first))
    return _run(first, arguments[1:])


def _run(name: str, arguments: list[str]) -> int:
    try:
        with collector_paused():
            module: CommandModule = importlib.import_module(f"conveyor_cli.commands.{name}")
            # Needs the [cli] extra, as the command's module may need its own.
            from conveyor_cli.parsing import parse_settings

        settings = parse_settings(name, module.Settings, arguments, summary=module.SUMMARY, example=module.EXAMPLE)
        return EXIT_OK if settings is None else (module.run(settings) or EXIT_OK)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if not package or package.startswith("conveyor"):
            raise
        extra = EXTRA_OF_PACKAGE.get(package, COMMANDS[name])
        raise ConveyorError(_missing_package(name, package, extra)) from error


def _missing_package(command: str, package: str, extra: str) -> str:
    other = ", or 'conveyor[cuda]' for an NVIDIA GPU" if extra == "cpu" else ""
    return f"conveyor {command} needs the package {package}: pip install 'conveyor[{extra}]'{other}"


def _unknown_command(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
    return f"there is no command {name!r}: {hint}"


def _overview() -> str:
    lines = ["usage: conveyor COMMAND [OPTIONS]", "", "Train a CNN, prove its export to ONNX, serve it.", ""]
    lines += ["commands:"] + [f"  {name:<10} {_summary(name)}" for name in COMMANDS]
    lines += ["", "conveyor COMMAND --help shows a command's options and an example; conveyor --version the version."]
    return "\n".join(lines)


def _summary(name: str) -> str:
    """The command's SUMMARY, read from its source: listing the commands imports none of them."""
    import ast

    source = Path(__file__).with_name("commands") / f"{name}.py"
    if not source.exists():
        return ""
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="SUMMARY")], value=ast.Constant(value=str(text))):
                return text
    return ""


def _print_error(message: str) -> None:
    sys.stderr.write(f"error: {message}\n")
