"""The console as a visitor sees it: what to draw on, what to press, what to read."""

from collections.abc import Sequence
from dataclasses import dataclass

from playwright.sync_api import FloatRect, Locator, Page, Request

from conveyor.v1 import classifier_pb2 as pb
from conveyor.v1.classifier_pb2_grpc import ClassifierServiceStub

# Corners of strokes, in shares of the canvas.
SEVEN = ((0.25, 0.22), (0.74, 0.2), (0.6, 0.5), (0.46, 0.82))
# As the arrow keys go, in steps of 1/28: from the middle to the corner with the pen up, then down.
SEVEN_KEYS = (("up", -7, -8), ("down", 13, 0), ("down", -5, 9), ("down", -2, 7))


@dataclass(frozen=True, kw_only=True)
class Shown:
    """An answer as the page shows it, and the picture that it was asked about."""

    best: str
    labels: Sequence[str]
    shares: Sequence[str]
    picture: bytes


class Console:
    """One open page."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.url = f"http://{address}/"

    def open(self, place: str = "") -> None:
        """Opens the page anew, wherever it was, and waits for the server's first word."""
        self.page.goto("about:blank")
        self.page.goto(self.url + place)
        self.page.locator("#status:not([data-state=asking])").wait_for()

    @property
    def canvas(self) -> Locator:
        """Where one draws."""
        return self.page.get_by_label("Drawing", exact=True)

    @property
    def answer(self) -> Locator:
        """The card with the answer."""
        return self.page.get_by_role("region", name="Answer")

    def draw(self, corners: Sequence[tuple[float, float]] = SEVEN) -> None:
        """One stroke with the mouse."""
        box = box_of(self.canvas)
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
        self.page.mouse.move(*points[0])
        self.page.mouse.down()
        for x, y in points[1:]:
            self.page.mouse.move(x, y, steps=6)
        self.page.mouse.up()

    def draw_by_keys(self) -> None:
        """The same with arrow keys and the space bar; the canvas must have the focus."""
        keyboard, is_down = self.page.keyboard, False
        for pen, across, down in SEVEN_KEYS:
            if (pen == "down") != is_down:
                keyboard.press("Space")
                is_down = not is_down
            for step in range(max(abs(across), abs(down))):
                if step < abs(across):
                    keyboard.press("ArrowRight" if across > 0 else "ArrowLeft")
                if step < abs(down):
                    keyboard.press("ArrowDown" if down > 0 else "ArrowUp")
        keyboard.press("Space")

    def shown(self, asking: Request) -> Shown:
        """What the page shows of the answer to a request of its own."""
        answered = asking.response()
        assert answered is not None
        assert answered.status == 200
        self.answer.locator(".top").wait_for()
        self.page.wait_for_function("!document.querySelector('[aria-busy]')")
        bars = self.answer.locator(".bars li")
        return Shown(
            best=self.answer.locator(".top").inner_text(),
            labels=bars.locator(".label").all_inner_texts(),
            shares=bars.locator(".share").all_inner_texts(),
            picture=bytes(self.page.evaluate("async () => [...new Uint8Array(await window.sent.arrayBuffer())]")),
        )

    def chart(self, title: str) -> Locator:
        """One of the charts."""
        return self.page.locator(".chart").filter(has=self.page.get_by_role("heading", name=title))


def is_look(request: Request) -> bool:
    """Whether the page asks what a picture shows."""
    return "/console/look" in request.url


def by_grpc(stub: ClassifierServiceStub, model: str, picture: bytes) -> Sequence[pb.Prediction]:
    """The answer that any client gets."""
    request = pb.ClassifyRequest(model_name=model, images=[pb.Image(encoded=picture)], top_k=5)
    return stub.Classify(request).results[0].answer.predictions


def box_of(element: Locator) -> FloatRect:
    """Where an element is, scrolled into sight."""
    element.scroll_into_view_if_needed()
    box = element.bounding_box()
    assert box is not None
    return box
