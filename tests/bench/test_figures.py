"""The benchmark's arithmetic: schedules, percentiles, answer checks and settings."""

from itertools import pairwise

import pytest
from pydantic import ValidationError

from conveyor.v1 import classifier_pb2
from conveyor_bench.answers import ClassifyAnswers
from conveyor_bench.load import Measured
from conveyor_bench.payloads import Question, build_items, build_requests
from conveyor_bench.recorder import Recorder
from conveyor_bench.report import make_report
from conveyor_bench.settings import BenchSettings
from conveyor_bench.workload import ClosedLoop, OpenLoop


def answer(*probabilities: float) -> classifier_pb2.ClassifyResponse:
    """Predictions for labels 0, 1, ...; most probable first, as a server sorts them."""
    ranked = sorted(enumerate(probabilities), key=lambda each: -each[1])
    predictions = [classifier_pb2.Prediction(index=index, probability=value) for index, value in ranked]
    result = classifier_pb2.Result(answer=classifier_pb2.Answer(predictions=predictions))
    return classifier_pb2.ClassifyResponse(results=[result])


def response_of(index: int, probability: float) -> classifier_pb2.ClassifyResponse:
    """One prediction."""
    prediction = classifier_pb2.Prediction(index=index, probability=probability)
    result = classifier_pb2.Result(answer=classifier_pb2.Answer(predictions=[prediction]))
    return classifier_pb2.ClassifyResponse(results=[result])


def test_constant_arrivals_are_evenly_spaced() -> None:
    times = list(OpenLoop(rate=100, arrivals="constant").send_times(1.005))
    assert len(times) == 100
    assert times == pytest.approx([0.01 * number for number in range(1, 101)])


def test_poisson_arrivals_have_the_rate_and_its_spread() -> None:
    times = list(OpenLoop(rate=1000, seed=1).send_times(20))
    gaps = [later - earlier for earlier, later in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert mean == pytest.approx(0.001, rel=0.03)
    assert deviation == pytest.approx(mean, rel=0.05)
    assert times == sorted(times)
    assert times == list(OpenLoop(rate=1000, seed=1).send_times(20))
    assert times != list(OpenLoop(rate=1000, seed=2).send_times(20))


def test_shares_of_a_load_add_up_to_it() -> None:
    assert [ClosedLoop(concurrency=8).share(number, 3).concurrency for number in range(3)] == [3, 3, 2]
    constant = OpenLoop(rate=100, arrivals="constant")
    shared = sorted(time for number in range(4) for time in constant.share(number, 4).send_times(1.005))
    assert shared == pytest.approx(list(constant.send_times(1.005)))
    poisson = OpenLoop(rate=1000, seed=3)
    parts = [list(poisson.share(number, 2).send_times(10)) for number in range(2)]
    assert parts[0] != parts[1]
    assert sum(map(len, parts)) == pytest.approx(10_000, rel=0.05)


def test_a_report_of_known_latencies() -> None:
    recorder = Recorder()
    for milliseconds in range(1, 1001):
        recorder.took(milliseconds / 1000)
        recorder.split(queue_us=500, preprocess_us=20, compute_us=3000, batch_size=4)
    other = Recorder()
    other.failed("UNAVAILABLE")
    recorder.add(other)
    report = make_report(Measured(recorder=recorder, seconds=10.0, client_cpu=0.95), images_per_request=2)
    assert [report.p50, report.p99] == pytest.approx([500, 990], rel=0.01)
    figures = {each.percentile: each for each in report.latency.percentiles}
    assert figures[50.0].value == pytest.approx(500, rel=0.01)
    assert figures[99.0].value == pytest.approx(990, rel=0.01)
    # 1000 requests: the median's interval is 50 % +- 3.1 %.
    assert figures[50.0].low == pytest.approx(469, rel=0.01)
    assert figures[50.0].high == pytest.approx(531, rel=0.01)
    assert report.latency.max == pytest.approx(1000, rel=0.01)
    assert (report.requests, report.answered, report.errors) == (1001, 1000, {"UNAVAILABLE": 1})
    assert (report.requests_per_second, report.images_per_second, report.mean_batch_size) == (100, 200, 4)
    assert report.queue.mean == pytest.approx(0.5, rel=0.01)
    assert report.client_saturated
    assert report.ok


def test_a_report_without_answers_is_not_ok() -> None:
    report = make_report(Measured(recorder=Recorder(), seconds=1.0, client_cpu=0.1), images_per_request=1)
    assert not report.ok
    assert report.as_json()["latency_ms"]["count"] == 0


def test_answers_are_compared_with_the_first_to_the_same_request() -> None:
    check = ClassifyAnswers(2)
    assert check.same(0, answer(0.7, 0.3))
    assert check.same(0, answer(0.7004, 0.2996))  # another batch size, another order of summation
    assert not check.same(0, answer(0.3, 0.7))
    assert not check.same(0, answer(0.72, 0.28))
    assert not check.same(0, classifier_pb2.ClassifyResponse())
    assert check.same(1, answer(0.3, 0.7))
    single = ClassifyAnswers(1)
    assert single.same(0, response_of(0, 0.9))
    assert not single.same(0, response_of(1, 0.9))


def test_equally_probable_labels_may_change_places() -> None:
    check = ClassifyAnswers(1)
    assert check.same(0, answer(0.5001, 0.4999))
    assert check.same(0, answer(0.4999, 0.5001))


def test_an_item_without_an_answer_is_a_changed_answer() -> None:
    failed = classifier_pb2.Result(error=classifier_pb2.ItemError(code=3, message="no image"))
    assert not ClassifyAnswers(1).same(0, classifier_pb2.ClassifyResponse(results=[failed]))


def test_each_request_begins_with_another_image() -> None:
    images = [classifier_pb2.Image(encoded=bytes([number])) for number in range(3)]
    question = Question(model="m", version="", top_k=2, images_per_request=2)
    requests = [classifier_pb2.ClassifyRequest.FromString(each) for each in build_requests(images, question)]
    assert [[image.encoded[0] for image in request.images] for request in requests] == [[0, 1], [1, 2], [2, 0]]


def test_an_item_of_a_stream_leaves_room_for_its_number() -> None:
    question = Question(model="m", version="2", top_k=3, images_per_request=1)
    (item,) = build_items([classifier_pb2.Image(encoded=b"x")], question)
    read = classifier_pb2.ClassifyStreamRequest.FromString(item + b"\x08\x07")
    assert (read.item_id, read.model_name, read.model_version, read.top_k) == (7, "m", "2", 3)


def test_the_same_answer_is_known_by_its_bytes_whatever_its_timings() -> None:
    answers, recorder = ClassifyAnswers(1), Recorder()
    for queue in (1, 200, 70_000):
        response = answer(0.7, 0.3)
        response.timings.CopyFrom(classifier_pb2.Timings(queue_us=queue, batch_size=2))
        answers.take(0, response.SerializeToString(), recorder)
    assert recorder.changed_answers == 0
    assert set(recorder.queue) == {1, 200, 70_000}
    longer = answer(0.7, 0.3)
    longer.results.add()
    answers.take(0, longer.SerializeToString(), recorder)
    assert recorder.changed_answers == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"concurrency": 2, "rate": 5}, "either --concurrency"),
        ({"stream": True, "images_per_request": 2}, "single images"),
        ({"protocol": "inference", "image": ["a.png"]}, "--image goes with"),
        ({"sweep": True}, "--slo-p99"),
        ({"sweep": True, "slo_p99": "20"}, "20ms"),
        ({"baseline": True}, "--model-file"),
    ],
)
def test_settings_that_do_not_fit_together(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        BenchSettings.model_validate({"model": "m", **wrong})


def test_settings() -> None:
    assert BenchSettings(model="m").loop == ClosedLoop(concurrency=8)
    for written, seconds in (("20ms", 0.02), ("1.5s", 1.5), ("800 us", 0.0008)):
        settings = BenchSettings.model_validate({"model": "m", "slo_p99": written})
        assert settings.slo_p99 == pytest.approx(seconds)
