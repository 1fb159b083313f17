"""The page while the server works, goes away and comes back."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import tritonclient.grpc as triton
from playwright.sync_api import Page, Route, expect

from conveyor.v1 import classifier_pb2 as pb
from conveyor_contract.preprocessing import encode_png
from tests.console.models import digit_rows
from tests.console.seeing import SEVEN, Console, is_look
from tests.server.process import ServerProcess, running


@pytest.fixture
def busy(server: ServerProcess) -> Iterator[None]:
    """Asks for digits without a pause, until the test ends."""
    rows, _ = digit_rows()
    request = pb.ClassifyRequest(model_name="digits", images=[pb.Image(encoded=encode_png(row)) for row in rows[:8]])
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            server.stub.Classify(request)

    thread = threading.Thread(target=ask)
    thread.start()
    yield
    ended.set()
    thread.join()


def test_the_charts_move_under_load(console: Console, busy: None) -> None:
    requests, batch, latency = map(console.chart, ("Requests a second", "Rows in a batch", "Latency"))
    console.page.wait_for_function(
        """() => [...document.querySelectorAll('.chart')].slice(0, 4)
            .every(chart => (chart.querySelector('path').getAttribute('d') ?? '').split('L').length > 3)""",
    )
    assert float(requests.locator(".figure").inner_text().replace(",", "")) > 1
    assert float(batch.locator(".figure").inner_text()) == pytest.approx(8, abs=8)
    p50, p99 = (latency.locator(".figure > span").nth(index).inner_text() for index in (0, 2))
    assert p50.startswith("p50")
    assert p99.endswith("s")
    before = requests.locator("path").get_attribute("d")
    moved = "before => document.querySelector('.chart path').getAttribute('d') !== before"
    console.page.wait_for_function(moved, arg=before)


def test_a_restart_of_the_server_is_survived(page: Page, models: Path) -> None:
    with running(models) as first:
        address = first.http_address
        console = Console(page, address)
        console.open("#/digits/1")
        with page.expect_request(is_look) as asking:
            console.draw(SEVEN)
        assert console.shown(asking.value).labels[0] == "7"
        expect(page.locator("#status")).to_have_text("Ready")
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer.")
    expect(page.locator("#status")).to_have_text("Not reached")
    # What there was is still there.
    expect(console.answer.locator(".top")).to_contain_text("7")
    with running(models, "--http-port", address.rpartition(":")[2]):
        expect(page.locator("#notice")).to_be_hidden()
        expect(page.locator("#status")).to_have_text("Ready")
        page.get_by_role("button", name="Clear").click()
        with page.expect_request(is_look) as asking:
            console.draw(SEVEN)
        assert console.shown(asking.value).labels[0] == "7"


def test_a_picture_sent_while_the_server_is_away_gets_a_sentence(page: Page, models: Path) -> None:
    with running(models) as server:
        console = Console(page, server.http_address)
        console.open("#/digits/1")
        console.canvas.wait_for()
    console.draw(SEVEN)
    expect(console.answer.get_by_role("alert")).to_have_text("The server does not answer.")


def test_a_model_that_is_unloaded_and_loaded_is_followed(page: Page, models: Path) -> None:
    with running(models, "--model-control-mode", "explicit", "--load-model", "digits") as server:
        console = Console(page, server.http_address)
        console.open("#/colour/1")
        expect(page.get_by_text("This version does not serve: not loaded.")).to_be_visible()
        with triton.InferenceServerClient(server.address) as client:
            client.load_model("colour")
        expect(page.get_by_role("heading", name="Try it")).to_be_visible()


def test_nothing_compared_yet_is_no_agreement(console: Console) -> None:
    page = console.page
    of_trial = {"model": "digits", "version": "2", "stable": "1", "kind": "shadow"}
    rows = 0

    def on_trial(route: Route) -> None:
        pulse = route.fetch().json()
        families = pulse["families"]
        families["conveyor_shadow_rows_total"]["samples"] = [[of_trial, rows]]
        families["conveyor_shadow_agreement_ratio"]["samples"] = [[of_trial, 0.75]] if rows else []
        route.fulfill(body=json.dumps(pulse))

    page.route("**/console/pulse", on_trial)
    expect(page.get_by_role("heading", name="Version on trial: nothing was compared yet")).to_be_visible()
    same = console.chart("Same answers")
    expect(same).to_be_hidden()
    rows = 8
    expect(page.get_by_role("heading", name="Version on trial: compared over 8 rows")).to_be_visible()
    expect(same.locator(".figure")).to_have_text("75.0 %")
