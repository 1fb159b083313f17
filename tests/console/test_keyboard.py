"""The page with the keyboard alone: the focus stays where it was, and comes to where it should."""

from pathlib import Path

from playwright.sync_api import expect

from conveyor_contract.preprocessing import encode_png
from tests.console.conftest import PICTURE
from tests.console.seeing import SEVEN, Console, is_look

TOP = "part => document.querySelector(part).getBoundingClientRect().top"
BOTTOM = "part => document.querySelector(part).getBoundingClientRect().bottom"


def test_the_skip_link_leads_to_the_model_and_not_to_another(console: Console) -> None:
    page = console.page
    with page.expect_request(is_look) as asking:
        console.draw(SEVEN)
    console.shown(asking.value)
    page.set_viewport_size({"width": 1280, "height": 400})
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.get_by_role("link", name="Skip to the model").press("Enter")
    expect(page.locator("main")).to_be_focused()
    # Not under the bar.
    assert page.evaluate(f"({TOP})('h1') >= ({BOTTOM})('.bar')")
    for _ in range(2):
        page.wait_for_event("response", lambda response: response.url.endswith("/v1/models"))
    expect(page.get_by_role("heading", level=1)).to_have_text("digits")
    expect(console.answer.locator(".top")).to_contain_text("7")


def test_asking_why_does_not_lose_the_focus(console: Console) -> None:
    page = console.page
    with page.expect_request(is_look) as asking:
        console.draw(SEVEN)
    console.shown(asking.value)
    why = page.get_by_role("button", name="Show why")
    why.press("Enter")
    expect(console.answer.get_by_role("img", name="rests on")).to_be_visible()
    expect(why).to_be_focused()
    expect(page.locator("#voice")).to_have_text("What “7” rests on is shown.")


def test_choosing_a_file_does_not_lose_the_focus(console: Console, tmp_path: Path) -> None:
    page = console.page
    file = tmp_path / "picture.png"
    file.write_bytes(encode_png(PICTURE))
    page.get_by_role("tab", name="Picture").click()
    field = page.get_by_label("Choose a file")
    field.focus()
    field.set_input_files(file)
    expect(page.get_by_alt_text("Your picture picture.png")).to_be_visible()
    expect(page.get_by_label("Choose another")).to_be_focused()
