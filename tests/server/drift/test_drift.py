"""What is served, beside what the model was trained on."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from conveyor.v1 import classifier_pb2 as pb
from conveyor.v1 import model_pb2
from conveyor_server.batch import Batch, PendingRequest, Segment
from conveyor_server.drift.monitor import BUDGET, DriftMonitor
from conveyor_server.drift.sums import figures_of, no_sums
from tests.server.envoy.conftest import needs
from tests.server.metrics.pages import Page
from tests.server.process import ServerProcess, running
from tests.server.scripted import in_loop
from tests.server.traffic.digits import MAX_BATCH_SIZE, NAME, TRAINED, held_out, images, request, write_digits
from tests.server.traffic.scripted import version

SECONDS = 60
LABELS = {"model": NAME, "version": "1"}
WINDOW_SECONDS = 3600.0


class Clock:
    """Seconds that the test moves, and, if told to, each look at it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.step = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def monitor(
    clock: Clock, layout: model_pb2.Layout.ValueType = model_pb2.LAYOUT_NHWC, channels: int = 3
) -> DriftMonitor:
    """Of rows of three values, one for each channel, and three labels."""
    contract = model_pb2.ModelContract(
        inputs=[model_pb2.TensorSpec(datatype="FP32", layout=layout)],
        training_statistics=model_pb2.TrainingStatistics(
            input_mean=[0.5] * channels,
            input_standard_deviation=[0.25] * channels,
            class_frequencies=[0.5, 0.25, 0.25],
            confidence_histogram=[0.0] * 9 + [1.0],
        ),
    )
    model = version(1).model
    object.__setattr__(model, "contract", contract)
    return DriftMonitor(model, WINDOW_SECONDS, clock)


def batch_of(rows: np.ndarray) -> Batch:
    """As one request's rows come to the observers."""
    pending = PendingRequest(rows, None, 0.0, 0.0)  # type: ignore[arg-type]
    return Batch(segments=[Segment(pending, 0, len(rows))], size=len(rows))


@in_loop
async def test_sums_are_those_of_numpy() -> None:
    clock = Clock()
    looking = monitor(clock)
    rows = np.random.default_rng(0).random((20, 3), np.float32)
    output = np.eye(3, dtype=np.float32)[np.arange(20) % 3] * 0.95
    looking.look(batch_of(rows), output)
    sums = looking.sums()
    figures = figures_of(sums, looking.trained)
    assert figures.mean_shift == pytest.approx((rows.mean(axis=0) - 0.5) / 0.25, rel=1e-5)
    assert figures.deviation_ratio == pytest.approx(rows.std(axis=0) / 0.25, rel=1e-4)
    assert sums.classes.tolist() == [7, 7, 6]
    assert figures.class_distance == pytest.approx((abs(7 / 20 - 0.5) + abs(7 / 20 - 0.25) + abs(6 / 20 - 0.25)) / 2)
    assert figures.confidence_distance == 0.0
    assert looking.rows_seen == 20


@in_loop
async def test_what_is_long_ago_counts_less() -> None:
    clock = Clock()
    looking = monitor(clock)
    looking.look(batch_of(np.ones((8, 3), np.float32)), np.eye(3, dtype=np.float32)[[0] * 8])
    clock.now += WINDOW_SECONDS
    looking.look(batch_of(np.ones((8, 3), np.float32)), np.eye(3, dtype=np.float32)[[1] * 8])
    assert looking.sums().classes == pytest.approx([4, 8, 0])
    clock.now += 2 * WINDOW_SECONDS
    assert looking.sums().rows == pytest.approx(3)
    assert looking.rows_seen == 16


@in_loop
async def test_looking_takes_no_more_than_its_share_of_the_time() -> None:
    clock = Clock()
    looking = monitor(clock)
    # A look that takes a second, and batches all the time.
    clock.step = 0.5
    batch, output = batch_of(np.ones((1, 3), np.float32)), np.eye(3, dtype=np.float32)[[0]]
    for _ in range(5000):
        looking.look(batch, output)
    spent = looking.rows_seen * clock.step
    assert looking.rows_seen >= 1
    assert spent / clock.now <= BUDGET


@in_loop
async def test_channels_in_front_are_told_apart() -> None:
    clock = Clock()
    looking = monitor(clock, model_pb2.LAYOUT_NCL)
    rows = np.array([[0.0, 0.5, 1.0]], np.float32)
    looking.look(batch_of(rows), np.eye(3, dtype=np.float32)[[0]])
    assert figures_of(looking.sums(), looking.trained).mean_shift == pytest.approx([-2, 0, 2])


@in_loop
async def test_statistics_of_another_input_are_left_alone() -> None:
    looking = monitor(Clock(), channels=2)
    looking.look(batch_of(np.ones((1, 3), np.float32)), np.eye(3, dtype=np.float32)[[0]])
    figures = figures_of(looking.sums(), looking.trained)
    assert figures.mean_shift is None
    assert figures.class_distance == pytest.approx(0.5)


@in_loop
async def test_rows_that_are_no_finite_numbers_are_counted_and_spoil_no_sum() -> None:
    clock = Clock()
    looking = monitor(clock)
    output = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    output[2, 1] = np.nan
    rows = np.full((4, 3), 0.5)
    # The square of the one is no finite number, the other is none itself.
    rows[0, 0], rows[1, 2] = 1e200, np.inf
    looking.look(batch_of(rows), output)
    assert (looking.not_finite, looking.rows_seen) == (3, 1)
    looking.look(batch_of(np.full((2, 3), np.nan, np.float32)), np.full((2, 3), np.nan, np.float32))
    assert (looking.not_finite, looking.rows_seen) == (5, 1)
    clock.now += WINDOW_SECONDS
    looking.look(batch_of(np.full((1, 3), 0.5, np.float32)), output[:1])
    figures = figures_of(looking.sums(), looking.trained)
    assert figures.mean_shift == pytest.approx([0, 0, 0])
    assert looking.sums().classes == pytest.approx([1.5, 0, 0])


def test_nothing_served_has_no_distance() -> None:
    trained = model_pb2.TrainingStatistics(class_frequencies=[1.0], input_mean=[0.5], input_standard_deviation=[0.0])
    figures = figures_of(no_sums(1, 1), trained)
    assert (figures.mean_shift, figures.class_distance) == (None, None)


@pytest.fixture(scope="module", params=["grpcio/1", "envoy/2"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """With a window so short that a test sees it pass; every row is also run again."""
    engine, workers = request.param.split("/")
    needs(engine)
    repository: Path = tmp_path_factory.mktemp("digits")
    write_digits(repository, 1)
    flags = ("--engine", engine, "--workers", workers, "--drift-window", "0.5", "--verify-rate", "1")
    with running(repository, *flags) as process:
        yield process


def serve_until(server: ServerProcess, rows: np.ndarray, condition: Callable[[Page], bool]) -> Page:
    """Answers these rows again and again, until the metrics show it."""
    end = time.monotonic() + SECONDS
    chance = np.random.default_rng(0)
    while True:
        for _ in range(20):
            chosen = chance.choice(rows, MAX_BATCH_SIZE, replace=False)
            server.stub.Classify(request(chosen), timeout=10)
        page = Page(server)
        if condition(page):
            return page
        assert time.monotonic() < end, page.text


def shift_of(page: Page) -> float:
    """The one channel's."""
    return page.value("conveyor_input_channel_mean_shift", **LABELS, channel="0")


def test_drift_shows_on_a_server_and_passes_with_its_window(server: ServerProcess) -> None:
    usual = serve_until(server, held_out(), lambda page: page.value("conveyor_drift_rows_total", **LABELS) > 500)
    assert abs(shift_of(usual)) < 0.1
    assert usual.value("conveyor_input_channel_deviation_ratio", **LABELS, channel="0") == pytest.approx(1, abs=0.1)
    assert usual.value("conveyor_class_distance", **LABELS) < 0.2
    assert usual.value("conveyor_confidence_distance", **LABELS) < 0.2
    # The scanner's pictures come as negatives.
    negative = 255 - held_out()
    trained = images()[0][:TRAINED]
    expected = (negative.mean() - trained.mean()) / trained.std()
    turned = serve_until(server, negative, lambda page: abs(shift_of(page) - expected) < 0.1)
    assert turned.value("conveyor_class_distance", **LABELS) > 0.3
    again = serve_until(server, held_out(), lambda page: abs(shift_of(page)) < 0.1)
    seen = again.value("conveyor_drift_rows_total", **LABELS)
    assert seen == again.sum("conveyor_predictions_total", **LABELS)
    assert again.value("conveyor_drift_window_rows", **LABELS) < seen
    drift = server.stub.GetModel(pb.GetModelRequest(model_name=NAME)).drift
    assert drift.rows >= seen
    assert abs(drift.channel_mean_shift[0]) < 0.1


def test_rows_that_are_run_again_say_the_same(server: ServerProcess) -> None:
    page = serve_until(server, held_out(), lambda page: page.value("conveyor_verified_rows_total", **LABELS) >= 100)
    assert page.value("conveyor_verify_mismatches_total", **LABELS) == 0
    assert page.value("conveyor_verify_max_difference", **LABELS) < 1e-4
