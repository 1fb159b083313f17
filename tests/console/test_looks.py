"""How the console looks, measured in the page: contrast, room, keyboard, motion."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from tests.console.seeing import SEVEN, Console, is_look
from tests.server.process import ServerProcess

LOOKING = (Path(__file__).parent / "looking.js").read_text()
WIDE, NARROW = (1360, 900), (360, 740)
Scheme = Literal["light", "dark"]


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> Scheme:
    """The system's theme."""
    chosen: Scheme = request.param
    return chosen


@pytest.fixture(params=[WIDE, (900, 800), NARROW], ids=["wide", "middle", "narrow"])
def answered(page: Page, server: ServerProcess, scheme: Scheme, request: pytest.FixtureRequest) -> Console:
    """The console with an answer and its explanation."""
    width, height = request.param
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.add_init_script(LOOKING)
    console = Console(page, server.http_address)
    console.open("#/digits/1")
    with page.expect_request(is_look) as asking:
        console.draw(SEVEN)
    console.shown(asking.value)
    page.get_by_role("button", name="Show why").click()
    console.answer.get_by_role("img", name="rests on").wait_for()
    return console


def states(console: Console) -> Iterator[str]:
    """The page's states, one after the other."""
    page = console.page
    yield "answered"
    for tab in ("Evidence", "Training"):
        page.get_by_role("tab", name=tab).click()
        page.mouse.move(0, 0)
        yield tab
    console.open("#/nobody/1")
    page.get_by_role("link", name="instead").wait_for()
    yield "unknown model"
    page.get_by_role("link", name="instead").click()
    page.get_by_role("heading", level=1, name="colour").wait_for()
    yield "70 labels"
    page.get_by_role("tab", name="Training").click()
    page.get_by_alt_text("learning curve").wait_for()
    yield "pictures"
    page.evaluate("document.dispatchEvent(new CustomEvent('token-needed', { detail: 'Inference needs a token.' }))")
    yield "asks for a token"


def test_texts_and_shapes_stand_out_and_nothing_overlaps(answered: Console) -> None:
    for state in states(answered):
        for measure in ("faint", "faintShapes", "overlapping", "outside", "poorControls"):
            assert (state, measure, answered.page.evaluate(f"looking.{measure}()")) == (state, measure, [])
        assert answered.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), state


def test_the_tab_key_reaches_every_control_and_shows_where_it_is(console: Console) -> None:
    page = console.page
    page.evaluate(LOOKING)
    with page.expect_request(is_look) as asking:
        console.draw(SEVEN)
    console.shown(asking.value)
    expected = set(page.evaluate("looking.reachable()"))
    assert len(expected) > 8
    page.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(len(expected) + 10):
        page.keyboard.press("Tab")
        name, is_seen = page.evaluate("looking.focused()")
        reached.add(name)
        assert is_seen or name.startswith("body"), name
    assert expected <= reached


def test_tabs_are_chosen_with_the_arrow_keys(console: Console) -> None:
    contract = console.page.get_by_role("tab", name="Contract")
    contract.focus()
    console.page.keyboard.press("ArrowRight")
    evidence = console.page.get_by_role("tab", name="Evidence")
    expect(evidence).to_be_focused()
    expect(evidence).to_have_attribute("aria-selected", "true")
    expect(console.page.get_by_role("row", name="parity real")).to_contain_text("max difference 2.4e-7")
    console.page.keyboard.press("Home")
    expect(contract).to_be_focused()


def test_the_theme_follows_the_system_until_the_button_says_otherwise(page: Page, server: ServerProcess) -> None:
    page.emulate_media(color_scheme="dark")
    console = Console(page, server.http_address)
    console.open("#/digits/1")
    colour = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(colour)
    button = page.get_by_role("button", name="Dark")
    expect(button).to_have_attribute("aria-pressed", "true")
    button.click()
    light = page.evaluate(colour)
    assert light != dark
    page.reload()
    expect(button).to_have_attribute("aria-pressed", "false")
    assert page.evaluate(colour) == light


def test_nothing_moves_where_less_motion_is_wished(console: Console) -> None:
    with console.page.expect_request(is_look) as asking:
        console.draw(SEVEN)
    console.shown(asking.value)
    duration = "getComputedStyle(document.querySelector('.bars .fill')).transitionDuration"
    assert console.page.evaluate(duration) != "0s"
    console.page.emulate_media(reduced_motion="reduce")
    assert console.page.evaluate(duration) == "0s"


def test_contract_and_evidence_are_told(console: Console) -> None:
    page = console.page
    about = page.get_by_role("region", name="About this version")
    expect(about).to_contain_text("batch × 28 × 28 × 1, NHWC, image")
    expect(about).to_contain_text("Resize to 28 × 28, whatever the shape (bilinear, antialiased)")
    expect(about).to_contain_text("Labels (10)")
    page.get_by_role("tab", name="Evidence").click()
    expect(about).to_contain_text("2 of 2 checks of the export held.")
