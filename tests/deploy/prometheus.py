"""A real Prometheus with the project's own configuration, pointed at one server."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.manifests import DEPLOY

MONITORING = DEPLOY / "monitoring"
START_SECONDS = 60.0

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool; on Debian: apt install prometheus"
)
needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="needs Prometheus; on Debian: apt install prometheus"
)


class Prometheus:
    """Its query interface."""

    def __init__(self, address: str) -> None:
        self._address = address

    def get(self, path: str, **parameters: str) -> Any:
        """The `data` of an answer."""
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"http://{self._address}/api/v1/{path}?{query}", timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query."""
        found = self.get("query", query=expression)["result"]
        assert isinstance(found, list)
        return found

    def value(self, expression: str) -> float:
        """The value of a query with exactly one series."""
        [series] = self.query(expression)
        return float(series["value"][1])

    def wait_until(self, expression: str) -> None:
        """Returns once the query finds something."""
        end = time.monotonic() + START_SECONDS
        while not self._answers(expression):
            assert time.monotonic() < end, f"never true: {expression}"
            time.sleep(0.5)

    def _answers(self, expression: str) -> bool:
        try:
            return bool(self.query(expression))
        except OSError:  # it still starts
            return False


@contextmanager
def scraping(folder: Path, target: str, **labels: str) -> Iterator[Prometheus]:
    """Prometheus for the length of a block, with prometheus.yml but for the target, its labels and the intervals."""
    configuration = yaml.safe_load((MONITORING / "prometheus.yml").read_text(encoding="utf-8"))
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    configuration["scrape_configs"][0]["static_configs"] = [{"targets": [target], "labels": labels}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    shutil.copy(MONITORING / "rules.yml", folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    options = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    command = ["prometheus", *options, f"--web.listen-address={address}", "--log.level=error"]
    process = subprocess.Popen(command, cwd=folder)
    try:
        found = Prometheus(address)
        found.wait_until('up{job="conveyor"} == 1')
        yield found
    finally:
        process.terminate()
        process.wait(30)
