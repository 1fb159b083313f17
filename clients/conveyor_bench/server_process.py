"""Starts a real server as its own process, for the demonstration and for comparisons on one machine."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from conveyor_client.errors import ConveyorClientError

_READY = re.compile(r"(?<!not )\bready address=(\S+)")
_START_SECONDS = 60.0
_STOP_SECONDS = 60.0


@dataclass(kw_only=True)
class ServerProcess:
    """A server that is ready at `address`. `exit_code` is known once the `with` block has ended."""

    address: str
    process: subprocess.Popen[str]
    exit_code: int | None = None


def conveyor_command(*arguments: str | Path) -> list[str]:
    """The command line that runs this very installation."""
    return [sys.executable, "-m", "conveyor_cli", *map(str, arguments)]


def serving(repository: Path, *options: str) -> AbstractContextManager[ServerProcess]:
    """Serves a repository on a free port while the block runs, then stops the server as an operator would."""
    return running(conveyor_command("serve", repository, "--port", "0", *options))


@contextmanager
def running(command: list[str]) -> Iterator[ServerProcess]:
    """Runs a server that logs `ready address=HOST:PORT` on stderr; SIGTERM at the end of the block.

    Raises ConveyorClientError with the server's last lines when it does not become ready.
    """
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    lines: list[str] = []
    found = threading.Event()
    reader = threading.Thread(target=_read, args=(process, lines, found), daemon=True)
    reader.start()
    try:
        found.wait(_START_SECONDS)
        server = ServerProcess(address=_address(lines), process=process)
        yield server
        process.terminate()
        server.exit_code = process.wait(_STOP_SECONDS)
    finally:
        process.kill()
        process.wait()
        reader.join()


def _read(process: subprocess.Popen[str], lines: list[str], found: threading.Event) -> None:
    """Reads the server's log to its end, so that the server never waits for a full pipe."""
    assert process.stderr is not None
    with process.stderr as log:
        for line in log:
            lines.append(line.rstrip())
            if _READY.search(line):
                found.set()
    found.set()  # the server has ended


def _address(lines: list[str]) -> str:
    for line in lines:
        if match := _READY.search(line):
            return match.group(1)
    raise ConveyorClientError("the server did not become ready; its last words: " + " | ".join(lines[-5:]))
