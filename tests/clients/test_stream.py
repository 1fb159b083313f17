"""The synchronous stream: order, back-pressure, bad items and early ends."""

import threading
import time
from collections.abc import Iterator

import pytest

from conveyor_client import Client, InvalidImage, ServerError, ServerUnavailable
from conveyor_client.requests import STREAM_WINDOW
from tests.clients.scripted import LABELS, UNREADABLE, ScriptedServer


def images(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield bytes([number % 256])


@pytest.mark.parametrize("shuffles", [1, 7])
def test_outcomes_come_in_the_images_order(server: ScriptedServer, shuffles: int) -> None:
    server.script.stream_shuffles = shuffles
    with Client(server.address) as client:
        answers = list(client.stream(images(500), model="m"))
    assert [answer.index for answer in answers] == list(range(500))
    assert [answer.label for answer in answers] == [LABELS[number % 256 % 3] for number in range(500)]


def test_or_in_the_order_in_which_they_are_found(server: ScriptedServer) -> None:
    server.script.stream_shuffles = 4
    with Client(server.address) as client:
        answers = list(client.stream_unordered(images(8), model="m"))
    assert [answer.index for answer in answers] == [3, 2, 1, 0, 7, 6, 5, 4]
    assert all(answer.label == LABELS[answer.index % 3] for answer in answers)


def test_an_empty_stream(server: ScriptedServer) -> None:
    with Client(server.address) as client:
        assert list(client.stream([], model="m")) == []


def test_bad_images_have_their_error_and_end_nothing(server: ScriptedServer) -> None:
    with Client(server.address) as client:
        answers = list(client.stream([b"\x01", UNREADABLE, "/absent.png", b"\x02"], model="m"))
    assert [answer.index for answer in answers] == [0, 1, 2, 3]
    assert [type(answer.error) for answer in answers] == [type(None), InvalidImage, InvalidImage, type(None)]


def test_more_unreadable_files_than_the_window_holds(server: ScriptedServer) -> None:
    many = ["/absent.png"] * (2 * STREAM_WINDOW) + [b"\x01"]
    with Client(server.address) as client:
        assert sum(answer.error is None for answer in client.stream(many, model="m")) == 1
        assert all(answer.error is not None for answer in client.stream(many[:-1], model="m"))


def test_images_are_taken_no_faster_than_answers_are_read(server: ScriptedServer) -> None:
    taken = 0

    def counted() -> Iterator[bytes]:
        nonlocal taken
        for image in images(10 * STREAM_WINDOW):
            taken += 1
            yield image

    with Client(server.address) as client:
        answers = client.stream(counted(), model="m")
        next(answers)
        time.sleep(0.5)
        # One read, a window under way, and the one that waits for its place.
        assert taken <= STREAM_WINDOW + 2
        assert len(list(answers)) == 10 * STREAM_WINDOW - 1


def test_what_the_images_iterator_raises_reaches_the_caller(server: ScriptedServer) -> None:
    def broken() -> Iterator[bytes]:
        yield b"\x01"
        raise KeyError("broken")

    with Client(server.address) as client:
        answers = client.stream(broken(), model="m")
        assert next(answers).label == "one"
        with pytest.raises(KeyError, match="broken"):
            next(answers)


def test_a_stream_that_the_server_ends_early_names_what_is_missing(server: ScriptedServer) -> None:
    server.script.stream_ends_after = 3
    with Client(server.address) as client:
        answers = client.stream(images(10), model="m")
        with pytest.raises(ServerError, match=r"ended the stream early; .* not answered: image 4"):
            list(answers)


def test_a_stream_that_breaks_names_what_is_missing(server: ScriptedServer) -> None:
    server.script.stream_fails_after = 3
    broken = pytest.raises(ServerUnavailable, match=r"the server is stopping; .* not answered: image 4")
    with Client(server.address, max_attempts=1) as client, broken:
        list(client.stream(images(10), model="m"))


def test_nothing_at_the_address(silent_address: str) -> None:
    with (
        Client(silent_address, max_attempts=1) as client,
        pytest.raises(ServerUnavailable, match="no server answers"),
    ):
        list(client.stream(images(3), model="m"))


def test_a_reader_who_leaves_ends_the_call(server: ScriptedServer) -> None:
    endless = (b"\x01" for _ in iter(int, 1))
    with Client(server.address) as client:
        answers = client.stream(endless, model="m")
        next(answers)
        answers.close()  # type: ignore[attr-defined]  # a generator, promised as an iterator only
        before = server.script.stream_taken
        time.sleep(0.3)
        assert server.script.stream_taken <= before + STREAM_WINDOW
    assert not [thread for thread in threading.enumerate() if "consume" in thread.name and thread.is_alive()]
