"""What the client gives back: small frozen dataclasses, read from the answers' messages."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from conveyor.v1 import classifier_pb2, model_pb2
from conveyor_client.errors import ConveyorClientError, ServerError
from conveyor_client.requests import Prepared, sendable
from conveyor_client.statuses import item_failure


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One label with its probability, 0 to 1; index is its place among the model's labels."""

    label: str
    index: int
    probability: float


@dataclass(frozen=True, kw_only=True)
class Timings:
    """Where the server's time went, in microseconds; batch_size counts rows, other callers' included."""

    preprocess_us: int = 0
    queue_us: int = 0
    compute_us: int = 0
    batch_size: int = 0


@dataclass(frozen=True, kw_only=True)
class Classification:
    """The answer for one image, or why there is none (`error`); `index` is its position among those given, from 0.

    `predictions` come most probable first; a regression model gives `values` instead. `timings` are those of the
    whole request that the image went with.
    """

    image: str
    index: int
    predictions: tuple[Prediction, ...] = ()
    values: tuple[float, ...] = ()
    error: ConveyorClientError | None = None
    model_name: str = ""
    model_version: str = ""
    file_digest: str = ""
    timings: Timings = field(default_factory=Timings)

    @property
    def label(self) -> str:
        """The most probable label. Raises the image's error if it has one."""
        return self.best.label

    @property
    def probability(self) -> float:
        """The probability of the most probable label, 0 to 1. Raises the image's error if it has one."""
        return self.best.probability

    @property
    def best(self) -> Prediction:
        """The most probable prediction. Raises the image's error if it has one."""
        if self.error is not None:
            raise self.error
        if not self.predictions:
            raise ConveyorClientError(f"model {self.model_name} answers with values, not with labels; read .values")
        return self.predictions[0]


@dataclass(frozen=True, kw_only=True)
class ModelStatus:
    """One version of a model in the server's repository; `reason` says why it is not ready."""

    name: str
    version: str
    state: str
    reason: str
    file_digest: str
    provider: str

    @property
    def ready(self) -> bool:
        return self.state == "READY"


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model as its file describes it. Height and width in pixels, 0 where the model takes no images."""

    status: ModelStatus
    labels: tuple[str, ...]
    height: int
    width: int
    channels: int
    contract: model_pb2.ModelContract = field(repr=False)


def failed(item: Prepared, error: ConveyorClientError) -> Classification:
    """The outcome of an image that has no answer."""
    return Classification(image=item.name, index=item.position, error=error)


def merge(
    group: Sequence[Prepared], answer: classifier_pb2.ClassifyResponse | ConveyorClientError | None
) -> list[Classification]:
    """One outcome for each item of a group, in its order.

    `answer` is that to the items which could be sent: a response, the failure of the only one, or None for none.
    """
    sent = sendable(group)
    outcomes = {item.position: failed(item, item.error) for item in group if item.error is not None}
    if isinstance(answer, ConveyorClientError):
        outcomes |= {item.position: failed(item, answer) for item in sent}
    elif answer is not None:
        outcomes |= {outcome.index: outcome for outcome in _read_answers(answer, sent)}
    return [outcomes[item.position] for item in group]


def _read_answers(response: classifier_pb2.ClassifyResponse, sent: Sequence[Prepared]) -> list[Classification]:
    if len(response.results) != len(sent):
        raise ServerError(f"{len(sent)} images were sent and {len(response.results)} answers came back")
    timings = _timings(response.timings)
    return [_outcome(result, response, timings, item) for result, item in zip(response.results, sent, strict=True)]


def read_stream_answer(response: classifier_pb2.ClassifyStreamResponse, item: Prepared) -> Classification:
    """The outcome of one item of a stream."""
    return _outcome(response.result, response, _timings(response.timings), item)


def read_status(message: classifier_pb2.ModelStatus) -> ModelStatus:
    """A model's status, its state in one word."""
    return ModelStatus(
        name=message.model_name,
        version=message.model_version,
        state=classifier_pb2.ModelState.Name(message.state).removeprefix("MODEL_STATE_"),
        reason=message.reason,
        file_digest=message.file_digest,
        provider=message.provider,
    )


def read_model(response: classifier_pb2.GetModelResponse) -> Model:
    """A model's description."""
    preprocessing = response.contract.preprocessing
    channels = {model_pb2.COLOUR_MODE_GRAYSCALE: 1, model_pb2.COLOUR_MODE_RGB: 3}
    return Model(
        status=read_status(response.status),
        labels=tuple(response.contract.labels),
        height=preprocessing.height,
        width=preprocessing.width,
        channels=channels.get(preprocessing.colour_mode, 0),
        contract=response.contract,
    )


def _outcome(
    result: classifier_pb2.Result,
    response: classifier_pb2.ClassifyResponse | classifier_pb2.ClassifyStreamResponse,
    timings: Timings,
    item: Prepared,
) -> Classification:
    if result.WhichOneof("outcome") != "answer":
        return failed(item, item_failure(result.error, item.name))
    answer = result.answer
    return Classification(
        image=item.name,
        index=item.position,
        predictions=tuple(
            Prediction(label=each.label, index=each.index, probability=each.probability) for each in answer.predictions
        ),
        values=tuple(answer.values),
        model_name=response.model_name,
        model_version=response.model_version,
        file_digest=response.file_digest,
        timings=timings,
    )


def _timings(message: classifier_pb2.Timings) -> Timings:
    return Timings(
        preprocess_us=message.preprocess_us,
        queue_us=message.queue_us,
        compute_us=message.compute_us,
        batch_size=message.batch_size,
    )
