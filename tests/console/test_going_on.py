"""The page goes on asking, whatever comes instead of an answer, and says what it knows meanwhile."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.console.seeing import Console
from tests.server.process import ServerProcess

PULSE = "/console/pulse"
KEEP_HEADINGS = """
    window.headings = [];
    const keep = () => window.headings.push(document.querySelector("h1")?.textContent);
    new MutationObserver(keep).observe(document.getElementById("main"), { childList: true });
"""


class Relay(ThreadingHTTPServer):
    """Hands requests on to a server; while `cuts` is set, the pulse breaks off in the middle."""

    def __init__(self, address: str) -> None:
        super().__init__(("127.0.0.1", 0), RelayedRequest)
        self.address = address
        self.cuts = threading.Event()


class RelayedRequest(BaseHTTPRequestHandler):
    """One GET."""

    server: Relay

    def do_GET(self) -> None:
        headers = {"X-Conveyor-Console": "1"}
        try:
            answer = urlopen(Request(f"http://{self.server.address}{self.path}", headers=headers))
        except HTTPError as error:
            answer = error
        with answer:
            body = answer.read()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers["Content-Type"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        is_cut = self.path == PULSE and self.server.cuts.is_set()
        self.wfile.write(body[: len(body) // 2] if is_cut else body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextmanager
def relaying(server: ServerProcess) -> Iterator[Relay]:
    """A relay for the length of a block."""
    with Relay(server.http_address) as relay:
        thread = threading.Thread(target=relay.serve_forever)
        thread.start()
        try:
            yield relay
        finally:
            relay.shutdown()
            thread.join()


def assert_away(page: Page) -> None:
    expect(page.locator("#status")).to_have_text("Not reached")
    expect(page.locator("#notice")).to_contain_text("The server does not answer.")


def assert_ready(page: Page) -> None:
    expect(page.locator("#status")).to_have_text("Ready")
    expect(page.locator("#notice")).to_be_hidden()


def test_a_connection_cut_in_the_middle_of_an_answer_is_survived(page: Page, server: ServerProcess) -> None:
    with relaying(server) as relay:
        Console(page, f"127.0.0.1:{relay.server_port}").open("#/digits/1")
        assert_ready(page)
        relay.cuts.set()
        assert_away(page)
        relay.cuts.clear()
        assert_ready(page)


@pytest.mark.parametrize("path", [PULSE, "/v1/models"])
def test_a_page_of_a_proxy_in_the_servers_place_is_no_answer(console: Console, path: str) -> None:
    page = console.page
    assert_ready(page)
    page.route(f"**{path}", lambda route: route.fulfill(content_type="text/html", body="<p>Please sign in."))
    assert_away(page)
    page.unroute(f"**{path}")
    assert_ready(page)


def test_an_answer_that_the_page_cannot_make_out_is_said(browser: Browser, server: ServerProcess) -> None:
    # Not the usual page: this one's scripts may complain.
    with browser.new_context() as context:
        page = context.new_page()
        console = Console(page, server.http_address)
        console.open("#/digits/1")
        console.canvas.wait_for()
        page.route(f"**{PULSE}", lambda route: route.fulfill(json={"not_ready": None}))
        expect(page.locator("#status")).to_have_text("Not understood")
        expect(page.get_by_role("alert")).to_contain_text("The page cannot make out what the server answers")
        page.unroute(f"**{PULSE}")
        assert_ready(page)


@pytest.mark.parametrize("address", ["#/%", "#/digits/%E0%A4"])
def test_an_address_that_no_one_can_read_gets_a_sentence_and_a_way_on(console: Console, address: str) -> None:
    page = console.page
    console.canvas.wait_for()
    page.goto(console.url + address)
    expect(page.locator("main").get_by_role("alert")).to_contain_text(address.rpartition("/")[2])
    assert_ready(page)
    page.reload()
    page.get_by_role("link", name="instead").click()
    expect(page.get_by_role("heading", name="Try it")).to_be_visible()
    assert_ready(page)


def test_a_slow_answer_does_not_take_the_place_of_what_was_chosen_since(console: Console) -> None:
    page = console.page
    console.canvas.wait_for()
    held: list[Route] = []
    page.evaluate(KEEP_HEADINGS)
    page.route("**/v1/models/colour/**", lambda route: held.extend([route]))
    page.get_by_role("link", name="colour").click()
    while not held:
        page.wait_for_timeout(10)
    page.evaluate("location.hash = '#/digits/1'")
    page.wait_for_event("response", lambda response: response.url.endswith("/v1/models"))
    with page.expect_response("**/v1/models/colour/**"):
        held[0].continue_()
    page.wait_for_event("response", lambda response: response.url.endswith("/v1/models"))
    assert "colour" not in page.evaluate("window.headings")
    expect(page.get_by_role("heading", level=1)).to_have_text("digits")
