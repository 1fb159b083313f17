"""What the tests of data sets share: a local web server."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest


@dataclass(frozen=True, kw_only=True)
class Web:
    """A folder and the address that it is served at."""

    folder: Path
    url: str


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    """A local web server."""
    folder = tmp_path / "web"
    folder.mkdir()
    handler = partial(_QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield Web(folder=folder, url=f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
        thread.join()


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Keeps the tests' output clean."""
