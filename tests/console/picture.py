"""Takes the documentation's picture of a running server's console: python -m tests.console.picture URL MODEL FILE.

Have `conveyor bench` ask the server meanwhile, so that the charts have a minute to show.
"""

import sys

from playwright.sync_api import sync_playwright

from tests.console.conftest import ARGUMENTS, CHROMIUM
from tests.console.seeing import Console, is_look

# As a hand draws it, in shares of the canvas.
THREE = (
    *((0.33, 0.25), (0.45, 0.18), (0.6, 0.2), (0.66, 0.31), (0.58, 0.43), (0.45, 0.47)),
    *((0.6, 0.51), (0.68, 0.63), (0.62, 0.76), (0.47, 0.81), (0.32, 0.75)),
)
SIZE = (1360, 1040)
CHART_SECONDS = 60


def take(url: str, model: str, file: str) -> None:
    """Draws a digit, has it explained, waits until the charts are full and writes the page as a PNG file."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]}, color_scheme="light")
        console = Console(page, url.removeprefix("http://").rstrip("/"))
        console.open(f"#/{model}/1")
        with page.expect_request(is_look) as asking:
            console.draw(THREE)
        assert asking.value.response()
        page.get_by_role("button", name="Show why").click()
        console.answer.get_by_role("img", name="rests on").wait_for()
        page.wait_for_timeout(CHART_SECONDS * 1000)
        page.mouse.move(0, 0)
        page.screenshot(path=file)
        browser.close()


if __name__ == "__main__":
    take(*sys.argv[1:])
