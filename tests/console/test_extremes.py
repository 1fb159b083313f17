"""The page with what seldom comes: long names, many labels, a file that is none, values instead of labels."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.console.models import write_wordy_model
from tests.console.seeing import SEVEN, Console, is_look
from tests.console.test_looks import LOOKING, NARROW
from tests.server.process import ServerProcess

BROKEN = "a_file_that_is_none_under_a_name_that_does_not_end_for_a_good_while"


@pytest.fixture(scope="module")
def extreme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Serves a model with many long labels, and has one that cannot be served."""
    repository: Path = tmp_path_factory.mktemp("extreme")
    write_wordy_model(repository)
    broken = repository / BROKEN / "1" / "model.onnx"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"no model")
    process = ServerProcess(repository)
    yield process
    process.stop()


@pytest.fixture
def narrow(page: Page, extreme: ServerProcess) -> Console:
    """Its console in a narrow window, open at the model that serves."""
    page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
    page.add_init_script(LOOKING)
    opened = Console(page, extreme.http_address)
    opened.open()
    return opened


def assert_in_window(page: Page) -> None:
    assert page.evaluate("looking.outside()") == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_long_labels_are_told_apart_and_all_can_be_reached(narrow: Console) -> None:
    page = narrow.page
    with page.expect_request(is_look) as asking:
        narrow.draw(SEVEN)
    labels = narrow.shown(asking.value).labels
    assert len(set(labels)) == 5
    clipped = "elements => elements.filter(element => element.scrollWidth > element.clientWidth + 1).length"
    assert narrow.answer.locator(".bars .label").evaluate_all(clipped) == 0
    assert_in_window(page)
    region = page.get_by_role("region", name="Labels")
    expect(region.get_by_role("listitem")).to_have_count(1000)
    region.focus()
    page.keyboard.press("End")
    expect(region.get_by_text("number 999")).to_be_in_viewport()


def test_the_chosen_model_is_in_sight_in_a_row_of_models(narrow: Console) -> None:
    chosen = narrow.page.locator("nav [aria-current]")
    expect(chosen).to_contain_text("birds")
    expect(chosen).to_be_in_viewport(ratio=0.9)


def test_a_file_that_is_none_and_an_unknown_version_are_told_in_a_narrow_window(narrow: Console) -> None:
    page = narrow.page
    narrow.canvas.wait_for()
    narrow.open(f"#/{BROKEN}/1")
    expect(page.locator("main .error")).to_contain_text("This version does not serve:")
    assert_in_window(page)
    narrow.open(f"#/{BROKEN}/7")
    expect(page.get_by_role("alert")).to_contain_text("has no version 7")
    expect(page.get_by_role("link", name=f"See {BROKEN} instead")).to_be_visible()
    assert_in_window(page)
