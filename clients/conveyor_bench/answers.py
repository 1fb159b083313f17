"""Whether answers stay what they were: each is compared with the first one to the same request.

Most are equal byte for byte and are not parsed; batches of other sizes sum in another order, so that the rest may
differ by PROBABILITY_TOLERANCE.
"""

import struct
from collections.abc import Callable
from typing import Protocol

from conveyor.v1 import classifier_pb2
from conveyor_bench import open_inference_pb2
from conveyor_bench.recorder import Recorder
from conveyor_bench.workload import CLASSIFY, CLASSIFY_STREAM, MODEL_INFER

PROBABILITY_TOLERANCE = 1e-3


class Answers(Protocol):
    """Judges the answers to the requests of one method."""

    def take(self, number: int, content: bytes, recorder: Recorder) -> None:
        """The answer to request `number`: counted where it changed, its timings recorded where it has any."""


class ClassifyAnswers:
    """Of Classify. All but the timings, which stand last in the message, is compared as bytes first."""

    def __init__(self, requests: int) -> None:
        self._first: list[tuple[bytes, list[classifier_pb2.Answer]] | None] = [None] * requests

    def take(self, number: int, content: bytes, recorder: Recorder) -> None:
        first = self._first[number]
        if first is not None and content.startswith(first[0]):
            tail = classifier_pb2.ClassifyResponse.FromString(content[len(first[0]) :])
            if not tail.results:
                _split(tail.timings, recorder)
                return
        response = classifier_pb2.ClassifyResponse.FromString(content)
        _split(response.timings, recorder)
        recorder.changed_answers += not self.same(number, response)

    def same(self, number: int, response: classifier_pb2.ClassifyResponse) -> bool:
        """Whether the response answers this request as the first one did, within PROBABILITY_TOLERANCE."""
        answers = [result.answer for result in response.results]
        first = self._first[number]
        if first is None:
            if not answers or not all(result.HasField("answer") for result in response.results):
                return False
            bare = classifier_pb2.ClassifyResponse()
            bare.CopyFrom(response)
            bare.ClearField("timings")
            self._first[number] = (bare.SerializeToString(), answers)
            return True
        return len(answers) == len(first[1]) and all(map(same_answer, answers, first[1]))


class StreamAnswers:
    """Of ClassifyStream, one item each."""

    def __init__(self, requests: int) -> None:
        self._first: list[classifier_pb2.Answer | None] = [None] * requests

    def take(self, number: int, content: bytes, recorder: Recorder) -> None:
        response = classifier_pb2.ClassifyStreamResponse.FromString(content)
        _split(response.timings, recorder)
        first = self._first[number]
        if first is None:
            self._first[number] = response.result.answer
        elif response.result.answer != first:
            recorder.changed_answers += not same_answer(response.result.answer, first)


class InferAnswers:
    """Of ModelInfer: output tensors, float ones within the tolerance."""

    def __init__(self, requests: int) -> None:
        self._first: list[bytes | None] = [None] * requests

    def take(self, number: int, content: bytes, recorder: Recorder) -> None:
        first = self._first[number]
        if first is None:
            self._first[number] = content
            recorder.changed_answers += not open_inference_pb2.ModelInferResponse.FromString(content).outputs
        elif content != first:
            recorder.changed_answers += not _same_tensors(content, first)


_BY_METHOD: dict[str, Callable[[int], Answers]] = {
    CLASSIFY: ClassifyAnswers,
    CLASSIFY_STREAM: StreamAnswers,
    MODEL_INFER: InferAnswers,
}


def answers_of(method: str, requests: int) -> Answers:
    """The judge for a method's answers."""
    return _BY_METHOD[method](requests)


def same_answer(answer: classifier_pb2.Answer, first: classifier_pb2.Answer) -> bool:
    """Whether two answers to one image agree within PROBABILITY_TOLERANCE."""
    if len(answer.predictions) != len(first.predictions):
        return False
    # By label, not by place: two labels that are about equally probable may change places.
    before = {prediction.index: prediction.probability for prediction in first.predictions}
    return all(
        now.index in before and abs(now.probability - before[now.index]) <= PROBABILITY_TOLERANCE
        for now in answer.predictions
    ) and _close(answer.values, first.values)


def _split(timings: classifier_pb2.Timings, recorder: Recorder) -> None:
    if timings.batch_size:  # a server may leave timings out
        recorder.split(timings.queue_us, timings.preprocess_us, timings.compute_us, timings.batch_size)


def _same_tensors(content: bytes, first: bytes) -> bool:
    now = open_inference_pb2.ModelInferResponse.FromString(content)
    then = open_inference_pb2.ModelInferResponse.FromString(first)
    if [(each.name, list(each.shape)) for each in now.outputs] != [(e.name, list(e.shape)) for e in then.outputs]:
        return False
    if len(now.raw_output_contents) != len(then.raw_output_contents):
        return False
    for place, (tensor, before) in enumerate(zip(now.outputs, then.outputs, strict=True)):
        if not now.raw_output_contents:
            if not _close(tensor.contents.fp32_contents, before.contents.fp32_contents):
                return False
        elif not _same_raw(tensor.datatype, now.raw_output_contents[place], then.raw_output_contents[place]):
            return False
    return True


def _same_raw(datatype: str, now: bytes, then: bytes) -> bool:
    if now == then or datatype != "FP32":
        return now == then
    return len(now) == len(then) and _close(_floats(now), _floats(then))


def _floats(raw: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(raw) // 4}f", raw)


class _Floats(Protocol):
    def __len__(self) -> int: ...
    def __getitem__(self, place: int, /) -> float: ...


def _close(now: _Floats, then: _Floats) -> bool:
    return len(now) == len(then) and all(
        abs(now[place] - then[place]) <= PROBABILITY_TOLERANCE * max(1.0, abs(then[place])) for place in range(len(now))
    )
