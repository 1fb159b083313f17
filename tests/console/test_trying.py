"""A picture comes in by mouse, keyboard, file, drop or clipboard; the page's answer is the gRPC client's."""

import base64
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from conveyor_contract.preprocessing import encode_png
from tests.console.seeing import SEVEN, Console, Shown, by_grpc, is_look
from tests.server.process import ServerProcess

PICTURE = encode_png(np.random.default_rng(3).integers(0, 256, (40, 30, 3), np.uint8))


def assert_same(shown: Shown, server: ServerProcess, model: str) -> None:
    expected = by_grpc(server.stub, model, shown.picture)
    assert list(shown.labels) == [prediction.label for prediction in expected]
    for share, prediction in zip(shown.shares, expected, strict=True):
        assert float(share.removesuffix(" %")) == pytest.approx(prediction.probability * 100, abs=0.06)
    assert shown.best.startswith(expected[0].label)


def test_a_digit_drawn_with_the_mouse_is_understood(console: Console, server: ServerProcess) -> None:
    with console.page.expect_request(is_look) as asking:
        console.draw(SEVEN)
    shown = console.shown(asking.value)
    assert shown.labels[0] == "7"
    assert_same(shown, server, "digits")


def test_a_digit_drawn_with_the_keyboard_alone_is_understood(console: Console, server: ServerProcess) -> None:
    page = console.page
    expect(console.canvas).to_be_visible()
    for _ in range(40):
        page.keyboard.press("Tab")
        if console.canvas.evaluate("canvas => canvas === document.activeElement"):
            break
    expect(console.canvas).to_be_focused()
    with page.expect_request(is_look) as asking:
        console.draw_by_keys()
    shown = console.shown(asking.value)
    assert shown.labels[0] == "7"
    assert_same(shown, server, "digits")


def test_undo_and_clear_take_strokes_back(console: Console) -> None:
    with console.page.expect_request(is_look) as asking:
        console.draw(SEVEN)
    console.shown(asking.value)
    console.page.get_by_role("button", name="Undo").click()
    expect(console.answer).to_contain_text("The answer will stand here.")


def test_the_page_shows_what_the_model_was_given(console: Console) -> None:
    with console.page.expect_response(lambda response: is_look(response.request)) as answered:
        console.draw(SEVEN)
    row = answered.value.json()["row"]
    assert (row["height"], row["width"]) == (28, 28)
    expect(console.answer.get_by_role("img", name="The model's input")).to_be_visible()
    # Light strokes on dark, as the training images are, and about as much of them: their mean is 0.3.
    script = """png => createImageBitmap(new Blob([Uint8Array.from(atob(png), c => c.charCodeAt(0))])).then(pixels => {
        const context = new OffscreenCanvas(28, 28).getContext("2d");
        context.drawImage(pixels, 0, 0);
        const { data } = context.getImageData(0, 0, 28, 28);
        return data.filter((_, index) => index % 4 === 0).reduce((sum, value) => sum + value, 0) / 784 / 255;
    })"""
    assert 0.15 < console.page.evaluate(script, row["png"]) < 0.4


def test_the_explanation_marks_what_the_answer_rests_on(console: Console) -> None:
    with console.page.expect_request(is_look) as asking:
        console.draw(SEVEN)
    console.shown(asking.value)
    with console.page.expect_response("**/console/explain**") as answered:
        console.page.get_by_role("button", name="Show why").click()
    map_of_falls = np.array(answered.value.json()["falls"])
    assert map_of_falls.shape == (14, 14)
    assert map_of_falls.max() > 0.05
    # Nothing is drawn in the bottom right corner: covering it changes nothing.
    assert abs(map_of_falls[-1, -1]) < 1e-4
    expect(console.answer.get_by_role("img", name="rests on")).to_be_visible()


def test_a_chosen_file_is_answered(console: Console, server: ServerProcess, tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    file.write_bytes(PICTURE)
    console.open("#/colour/1")
    with console.page.expect_request(is_look) as asking:
        console.page.locator("#file").set_input_files(file)
    shown = console.shown(asking.value)
    assert shown.picture == PICTURE
    assert_same(shown, server, "colour")


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_dropped_or_pasted_on_the_page_is_answered(console: Console, server: ServerProcess, way: str) -> None:
    script = """([way, base64]) => {
        const bytes = Uint8Array.from(atob(base64), c => c.charCodeAt(0));
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([bytes], "picture.png", { type: "image/png" }));
        const all = { bubbles: true, cancelable: true };
        document.body.dispatchEvent(way === "drop"
            ? new DragEvent("drop", { ...all, dataTransfer })
            : new ClipboardEvent("paste", { ...all, clipboardData: dataTransfer }));
    }"""
    console.canvas.wait_for()
    with console.page.expect_request(is_look) as asking:
        console.page.evaluate(script, [way, base64.b64encode(PICTURE).decode()])
    shown = console.shown(asking.value)
    assert shown.picture == PICTURE
    assert_same(shown, server, "digits")
    expect(console.page.get_by_alt_text("Your picture picture.png")).to_be_visible()
