"""What is counted while a load runs: latencies, the server's own split, errors and changed answers."""

from collections import Counter
from dataclasses import dataclass, field

from hdrh.histogram import HdrHistogram

from conveyor.v1 import classifier_pb2

# Histograms count microseconds, from 1 us to 10 minutes, to three digits.
_LARGEST_US = 600_000_000
_DIGITS = 3
# How far the probability of the same image's best label may move: batches of other sizes sum in another order.
PROBABILITY_TOLERANCE = 1e-3


def new_histogram() -> HdrHistogram:
    """An empty histogram of microseconds."""
    return HdrHistogram(1, _LARGEST_US, _DIGITS)


@dataclass
class Recorder:
    """The measurements of one run."""

    latency: HdrHistogram = field(default_factory=new_histogram)
    send_lag: HdrHistogram = field(default_factory=new_histogram)  # how late the client itself sent
    queue: HdrHistogram = field(default_factory=new_histogram)
    preprocess: HdrHistogram = field(default_factory=new_histogram)
    compute: HdrHistogram = field(default_factory=new_histogram)
    batch_size: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    changed_answers: int = 0

    def answered(self, latency: float, timings: classifier_pb2.Timings) -> None:
        """One good answer; latency in seconds."""
        _record(self.latency, latency * 1e6)
        _record(self.queue, timings.queue_us)
        _record(self.preprocess, timings.preprocess_us)
        _record(self.compute, timings.compute_us)
        self.batch_size[timings.batch_size] += 1

    def failed(self, code: str) -> None:
        """One request without an answer, by its gRPC code."""
        self.errors[code] += 1

    def sent_late(self, lag: float) -> None:
        """How long after its intended time a request of the open loop was really sent, in seconds."""
        _record(self.send_lag, lag * 1e6)


class AnswerCheck:
    """Remembers the first answer to each request, and tells whether later ones say the same."""

    def __init__(self, requests: int) -> None:
        self._first: list[list[classifier_pb2.Answer] | None] = [None] * requests

    def same(self, request: int, response: classifier_pb2.ClassifyResponse) -> bool:
        """Whether the response answers this request as the first one did, within PROBABILITY_TOLERANCE."""
        answers = [result.answer for result in response.results]
        first = self._first[request]
        if first is None:
            self._first[request] = answers
            return all(result.HasField("answer") for result in response.results)
        return len(answers) == len(first) and all(map(_same, answers, first))


def _same(answer: classifier_pb2.Answer, first: classifier_pb2.Answer) -> bool:
    if len(answer.predictions) != len(first.predictions) or len(answer.values) != len(first.values):
        return False
    # By label, not by place: two labels that are about equally probable may change places.
    before = {prediction.index: prediction.probability for prediction in first.predictions}
    return all(
        now.index in before and abs(now.probability - before[now.index]) <= PROBABILITY_TOLERANCE
        for now in answer.predictions
    ) and all(
        abs(now - then) <= PROBABILITY_TOLERANCE * max(1.0, abs(then))
        for now, then in zip(answer.values, first.values, strict=True)
    )


def _record(histogram: HdrHistogram, microseconds: float) -> None:
    histogram.record_value(min(max(1, round(microseconds)), _LARGEST_US))
