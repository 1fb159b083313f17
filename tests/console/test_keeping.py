"""What a visitor has before them stays while the server restarts, loads, and gets newer versions."""

import shutil
from pathlib import Path

import pytest
import tritonclient.grpc as triton
from playwright.sync_api import Page, Route, expect

from tests.console.seeing import SEVEN, Console, is_look
from tests.models import write_tiny_model
from tests.server.process import running

EXPLICIT = ("--model-control-mode", "explicit", "--load-model", "*", "--version-policy", "all")
PIXELS = "canvas => canvas.toDataURL()"
LIST = "**/v1/models"


@pytest.fixture
def digits(models: Path, tmp_path: Path) -> Path:
    """A repository of this test alone."""
    add_version(models, tmp_path, 1)
    return tmp_path


def add_version(models: Path, repository: Path, version: int) -> None:
    """The digits once more."""
    shutil.copytree(models / "digits" / "1", repository / "digits" / str(version))


def drawn(console: Console) -> str:
    """The page with a digit drawn, answered, and the keyboard on the canvas; the canvas's pixels."""
    with console.page.expect_request(is_look) as asking:
        console.draw(SEVEN)
    assert console.shown(asking.value).labels[0] == "7"
    console.canvas.focus()
    # Else the keyboard's cursor may come and go.
    console.canvas.evaluate("canvas => { canvas.kept = true; }")
    return str(console.canvas.evaluate(PIXELS))


def assert_kept(console: Console, pixels: str) -> None:
    assert console.canvas.evaluate("canvas => canvas.kept")
    assert console.canvas.evaluate(PIXELS) == pixels
    expect(console.canvas).to_be_focused()
    expect(console.answer.locator(".top")).to_contain_text("7")


def as_loading(route: Route) -> None:
    """The list as it is while versions are being loaded."""
    body = route.fetch().json()
    for status in body["models"]:
        status.update(state="MODEL_STATE_LOADING", file_digest="", provider="")
    route.fulfill(json=body)


def test_a_restart_that_shows_the_model_loading_leaves_the_drawing(page: Page, digits: Path) -> None:
    with running(digits) as first:
        address = first.http_address
        console = Console(page, address)
        console.open()
        pixels = drawn(console)
    expect(page.locator("#status")).to_have_text("Not reached")
    pill, why = page.locator("main .pill"), page.locator("main header p").last
    page.route(LIST, as_loading)
    with running(digits, "--http-port", address.rpartition(":")[2]):
        expect(pill).to_have_text("Loading")
        expect(why).to_have_text("This version is being loaded.")
        assert_kept(console, pixels)
        page.unroute(LIST)
        expect(pill).to_have_text("Ready")
        expect(why).to_be_hidden()
        assert_kept(console, pixels)


def test_a_newer_version_is_offered_and_takes_no_drawings_place(page: Page, models: Path, digits: Path) -> None:
    with running(digits, *EXPLICIT) as server, triton.InferenceServerClient(server.address) as client:
        console = Console(page, server.http_address)
        console.open()
        pixels = drawn(console)
        add_version(models, digits, 2)
        client.load_model("digits")
        offer = page.get_by_role("link", name="See version 2, which is newer")
        expect(offer).to_be_visible()
        expect(page.locator("#voice")).to_have_text("Version 2 is newer and ready.")
        assert_kept(console, pixels)
        choice = page.get_by_label("Version", exact=True)
        assert choice.locator("option").all_inner_texts() == ["Version 2", "Version 1"]
        assert choice.locator("option:checked").inner_text() == "Version 1"
        offer.press("Enter")
        expect(choice.locator("option:checked")).to_have_text("Version 2")
        expect(offer).to_be_hidden()
        expect(page.locator("main")).to_be_focused()


def test_a_version_that_is_unloaded_says_so_and_leaves_the_drawing(page: Page, digits: Path) -> None:
    with running(digits, *EXPLICIT) as server, triton.InferenceServerClient(server.address) as client:
        console = Console(page, server.http_address)
        console.open()
        pixels = drawn(console)
        client.unload_model("digits")
        why = page.locator("main header p").last
        expect(why).to_have_text("This version does not serve: unloaded.")
        assert_kept(console, pixels)
        page.route(LIST, lambda route: route.fulfill(json={"models": []}))
        expect(why).to_have_text("This version does not serve: the server no longer has it.")
        assert_kept(console, pixels)


def test_another_file_under_the_same_version_is_shown(page: Page, tmp_path: Path) -> None:
    write_tiny_model(tmp_path)
    with running(tmp_path, *EXPLICIT) as server, triton.InferenceServerClient(server.address) as client:
        console = Console(page, server.http_address)
        console.open()
        file = page.locator(".meta span").last
        before = file.inner_text()
        write_tiny_model(tmp_path, seed=1)
        client.load_model("tiny")
        expect(file).not_to_have_text(before)


def test_the_keyboard_stays_in_the_list_of_models(console: Console) -> None:
    page = console.page
    link = page.get_by_role("link", name="colour")
    link.focus()
    for models in (None, "LOADING"):
        if models:
            page.route(LIST, as_loading)
            expect(page.locator("nav .pill").first).to_have_text("Loading")
        for _ in range(2):
            page.wait_for_event("response", lambda response: response.url.endswith("/v1/models"))
        expect(link).to_be_focused()


def test_the_keyboard_stays_on_the_choice_of_the_version(page: Page, models: Path, digits: Path) -> None:
    add_version(models, digits, 2)
    with running(digits, "--version-policy", "all") as server:
        console = Console(page, server.http_address)
        console.open("#/digits/2")
        choice = page.get_by_label("Version", exact=True)
        choice.focus()
        page.keyboard.press("ArrowDown")
        expect(page.locator("#voice")).to_have_text("digits, version 1")
        expect(choice).to_be_focused()
