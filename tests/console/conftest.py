"""Models behind a real server, and the system's Chromium to look at its console with."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, expect, sync_playwright

from conveyor_contract.preprocessing import encode_png
from tests.console.models import write_digits_model
from tests.console.seeing import Console
from tests.models import write_tiny_model
from tests.server.process import ServerProcess, running

CHROMIUM = shutil.which("chromium")
ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PICTURE = np.full((30, 40, 3), 200, np.uint8)
# Chromium does not tell what was sent where it was a Blob.
KEEP_BODIES = """
    const plainFetch = window.fetch;
    window.fetch = (path, options) => {
        if (options?.body) window.sent = options.body;
        return plainFetch(path, options);
    };
"""
# Milliseconds, for a busy machine.
PATIENCE = 60_000
# Bytes: so that a huge file need not be one.
LIMIT = 400_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for one file of tests: as long as Playwright runs, no other loop can in its thread."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium (Debian: apt-get install chromium)")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with `digits`, trained on real ones, and `colour`, made up, with training pictures beside it."""
    repository: Path = tmp_path_factory.mktemp("console")
    write_digits_model(repository)
    file = write_tiny_model(repository, "colour", height=6, width=4, channels=3, classes=70)
    (file.parent / "report").mkdir()
    (file.parent / "report" / "learning_curve.png").write_bytes(encode_png(PICTURE))
    return repository


@pytest.fixture(scope="session")
def server(models: Path) -> Iterator[ServerProcess]:
    """Serves the models, with a small limit for messages."""
    with running(models, "--max-message-bytes", str(LIMIT)) as process:
        yield process


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page; the test fails when its scripts do, or when it asks another host for something."""
    context = browser.new_context(viewport={"width": 1360, "height": 900})
    context.add_init_script(KEEP_BODIES)
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE)
    errors: list[str] = []
    hosts: set[str] = set()

    def failed(error: Error) -> None:
        errors.append(str(error))

    def said(message: ConsoleMessage) -> None:
        # What could not be fetched the page says itself.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            errors.append(message.text)

    def asked(request: Request) -> None:
        if request.url.startswith("http"):
            hosts.add(request.url.split("/")[2].rpartition(":")[0])

    opened.on("pageerror", failed)
    opened.on("console", said)
    opened.on("request", asked)
    yield opened
    context.close()
    assert not errors
    assert hosts <= {"127.0.0.1", "localhost"}


@pytest.fixture
def console(page: Page, server: ServerProcess) -> Console:
    """The console of the server, open at `digits`."""
    opened = Console(page, server.http_address)
    opened.open("#/digits/1")
    return opened
