"""Images and containers through podman, as an operator would start them."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BASE = "docker.io/library/python:3.11-slim-bookworm"
READY_SECONDS = 60.0
# What deploy/README.md tells operators to give the server.
HARDENED = ("--read-only", "--read-only-tmpfs=false", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")


@functools.cache
def why_not() -> str | None:
    """What is missing to build and run containers here; None when everything is there."""
    if os.environ.get("CONVEYOR_TEST_CONTAINERS") != "1":
        return "container tests run with make test-deploy"
    if shutil.which("podman") is None:
        return "needs podman: tests/deploy/prepare.sh installs it as root on Debian"
    if subprocess.run(["podman", "image", "exists", BASE], check=False, capture_output=True).returncode:
        return f"needs the image {BASE}, which no registry gave"
    with tempfile.TemporaryDirectory() as folder:
        tried = Podman(Path(folder))("run", "--rm", "--network", "none", BASE, "python3", "-c", "pass")
    words = tried.stderr.strip().splitlines() or ["no reason given"]
    return f"podman cannot run a container here: {words[-1]}" if tried.returncode else None


class Podman:
    """podman, told to ask for no more than a sandboxed kernel allows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        limits = '["nofile=1024:1024", "nproc=4096:4096"]'
        runtime = '[engine]\nruntime = "runc"\n' if shutil.which("runc") else ""
        (folder / "containers.conf").write_text(f"[containers]\ndefault_ulimits = {limits}\n{runtime}")
        self._environment = {**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf")}

    def __call__(self, *arguments: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Runs one podman command to its end."""
        return subprocess.run(
            ["podman", *map(str, arguments)],
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self._environment,
        )

    def must(self, *arguments: str | Path, timeout: float = 120) -> str:
        """The same, for what has to succeed: its stdout."""
        done = self(*arguments, timeout=timeout)
        assert done.returncode == 0, f"podman {arguments[0]}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def build(self, tag: str, dockerfile: Path, context: Path, *arguments: str) -> None:
        """Builds an image from its Dockerfile as it is, with this machine's pip settings."""
        options = ["--format", "docker", "--isolation", "chroot", "--pull-never", *self._pip_mounts(), *arguments]
        self.must("build", *options, "-t", tag, "-f", dockerfile, context, timeout=1800)

    def inspected(self, name: str) -> dict[str, Any]:
        """What podman knows of a container or image."""
        [found] = json.loads(self.must("inspect", name))
        assert isinstance(found, dict)
        return found

    def added_megabytes(self, image: str) -> float:
        """What an image adds to its base, in MB (10^6 bytes)."""
        sizes = [int(self.inspected(each)["Size"]) for each in (image, BASE)]
        return (sizes[0] - sizes[1]) / 1e6

    def logs(self, container: str) -> str:
        """What the container has written to stdout and stderr."""
        done = self("logs", container)
        return done.stdout + done.stderr

    def exit_code(self, container: str) -> int:
        """Waits for a container's end."""
        return int(self.must("wait", container, timeout=120))

    @contextmanager
    def running(self, image: str, *arguments: str | Path, command: Sequence[str] = ()) -> Iterator[str]:
        """A container for the length of a block; its name."""
        name = self.must("run", "--detach", "--network", "host", *arguments, image, *command)
        try:
            yield name
        finally:
            self("rm", "--force", "--time", "0", name)

    def wait_until_healthy(self, container: str) -> None:
        """Returns once the image's own health check says so; podman by itself asks only where systemd runs."""
        end = time.monotonic() + READY_SECONDS
        while self("healthcheck", "run", container).returncode:
            assert time.monotonic() < end, self.logs(container)
            time.sleep(0.3)

    def wait_for_log(self, container: str, pattern: str) -> re.Match[str]:
        """The first match in the container's log."""
        end = time.monotonic() + READY_SECONDS
        while (found := re.search(pattern, self.logs(container))) is None:
            assert time.monotonic() < end, f"{pattern!r} not in the log:\n{self.logs(container)}"
            time.sleep(0.2)
        return found

    def _pip_mounts(self) -> list[str]:
        """pip in the build reads what pip on this machine does: its settings, and what they name."""
        listed = subprocess.run(["python3", "-m", "pip", "config", "list"], check=False, capture_output=True, text=True)
        settings = dict(re.findall(r"^(?:global|install|:env:)\.([\w-]+)='(.*)'$", listed.stdout, re.MULTILINE))
        settings = {name: value.replace("\\n", " ") for name, value in settings.items() if name != "config-file"}
        if "cert" in settings:
            settings["cert"] = "/etc/ssl/certs/ca-certificates.crt"
        file = self._folder / "pip.conf"
        file.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()))
        words = " ".join(value for name, value in settings.items() if name != "cert").split()
        named = {Path(word.removeprefix("file://")) for word in words if word.startswith(("/", "file://"))}
        mounts = [f"{file}:/etc/pip.conf:ro"]
        mounts += [f"{folder}:{folder}:ro" for folder in sorted(_topmost(named)) if folder.exists()]
        return [word for mount in mounts for word in ("--volume", mount)]


def _topmost(folders: set[Path]) -> set[Path]:
    """A package index lies in /simple of the folder that also holds its files: the folder itself."""
    return {each.parent if each.name == "simple" else each for each in folders}


def free_ports() -> dict[str, str]:
    """The variables that put a server on two ports that are free now, gRPC and HTTP."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        grpc_port, http_port = (str(each.getsockname()[1]) for each in (one, other))
    return {"CONVEYOR_SERVE_PORT": grpc_port, "CONVEYOR_SERVE_HTTP_PORT": http_port}


def variables(values: dict[str, str]) -> list[str]:
    """podman's options for a container's environment."""
    return [word for name, value in values.items() for word in ("--env", f"{name}={value}")]
