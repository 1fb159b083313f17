"""What the page says of what cannot be: the server's own sentence, and the way on."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import LIMIT
from tests.console.seeing import SEVEN, Console, is_look
from tests.server.process import ServerProcess, running

TOKEN = "a-token-for-tests"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"this is no image", "The image cannot be read (16 bytes, starting with"),
        (b"", "The image is empty (0 bytes)"),
        (bytes(LIMIT + 1), f"The body has more than {LIMIT} bytes, this server's limit."),
    ],
    ids=["no image", "empty", "huge"],
)
def test_a_bad_file_gets_the_servers_sentence(console: Console, tmp_path: Path, content: bytes, sentence: str) -> None:
    file = tmp_path / "picture.png"
    file.write_bytes(content)
    console.page.get_by_role("tab", name="Picture").click()
    console.page.locator("#file").set_input_files(file)
    expect(console.answer.get_by_role("alert")).to_contain_text(sentence)
    # The next one is answered.
    console.page.get_by_role("tab", name="Draw").click()
    with console.page.expect_request(is_look) as asking:
        console.draw(SEVEN)
    assert console.shown(asking.value).labels[0] == "7"


def test_an_unknown_model_gets_the_servers_sentence_and_a_way_on(console: Console) -> None:
    console.open("#/nobody/1")
    expect(console.page.locator("main").get_by_role("alert")).to_contain_text("nobody")
    console.page.get_by_role("link", name="instead").click()
    expect(console.page.get_by_role("heading", level=1)).to_have_text("colour")


def test_an_empty_repository_says_what_to_do(page: Page, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)
    try:
        console = Console(page, server.http_address)
        console.open()
        expect(page.get_by_role("heading", name="No models yet")).to_be_visible()
        expect(page.locator("#status")).to_have_text("Not ready")
        expect(page.get_by_role("alert")).to_have_text("The server is not ready: no model serves.")
    finally:
        server.stop()


def test_the_page_asks_for_a_token_and_keeps_it_to_its_tab(page: Page, models: Path, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"{TOKEN}\n")
    with running(models, "--inference-token-file", str(file), "--metrics-token-file", str(file)) as server:
        console = Console(page, server.http_address)
        console.open("#/digits/1")
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("needs a token")
        dialog.get_by_label("Token").fill("a wrong one")
        dialog.get_by_role("button", name="Use it").click()
        expect(dialog).to_contain_text("The token is not known to this server.")
        dialog.get_by_label("Token").fill(TOKEN)
        dialog.get_by_role("button", name="Use it").click()
        console.canvas.wait_for()
        expect(dialog).to_be_hidden()
        with page.expect_request(is_look) as asking:
            console.draw(SEVEN)
        assert console.shown(asking.value).labels[0] == "7"
        expect(page.locator("#status")).to_have_text("Ready")
        assert page.evaluate("[document.cookie, JSON.stringify(localStorage)]") == ["", "{}"]
        page.reload()
        console.canvas.wait_for()
        expect(dialog).to_be_hidden()
        other = page.context.new_page()
        other.goto(console.url)
        expect(other.get_by_role("dialog")).to_be_visible()


def test_whoever_has_no_token_is_asked_once(page: Page, models: Path, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"{TOKEN}\n")
    with running(models, "--inference-token-file", str(file)) as server:
        console = Console(page, server.http_address)
        console.open()
        page.get_by_role("dialog").get_by_role("button", name="Not now").click()
        expect(page.locator("#notice")).to_contain_text("Load the page again to enter one.")
        # The page goes on asking, and is refused, without a word.
        for _ in range(2):
            page.wait_for_event("response", lambda response: response.status == 401)
        expect(page.get_by_role("dialog")).to_be_hidden()
