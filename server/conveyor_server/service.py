"""conveyor.v1.ClassifierService: each handler finds the model, lets it infer and writes the answer; no more."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from conveyor.v1 import classifier_pb2 as pb
from conveyor_server.answers import ClassifyAnswers, StreamAnswers, write_error
from conveyor_server.calls import CallContext, MethodTable, Response, StreamMethod, UnaryMethod, known_error
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.gate import Gate, stopping
from conveyor_server.groups import Group
from conveyor_server.model import Model
from conveyor_server.overseer import Overseer
from conveyor_server.per_model import PerModel
from conveyor_server.repository import Repository
from conveyor_server.statuses import CONVEYOR_CODES
from conveyor_server.stream import Conveyance

SERVICE = "conveyor.v1.ClassifierService"


@dataclass(frozen=True, kw_only=True)
class ServiceLimits:
    """What one call may ask for."""

    max_images_per_request: int
    max_stream_in_flight: int  # images
    expose_golden_samples: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _StreamItem:
    """One message of a stream, completed by what earlier messages said."""

    item_id: int = 0
    image: pb.Image | None = None
    model_name: str = ""
    model_version: str = ""
    top_k: int = 0


class ClassifierService:
    """The handlers, over one repository."""

    def __init__(
        self,
        repository: Repository,
        gate: Gate,
        limits: ServiceLimits,
        check_admin: Callable[[CallContext], object],
        overseer: Overseer,
    ) -> None:
        """`check_admin` raises ServingError for a caller who is no administrator."""
        self._overseer = overseer
        self._check_admin = check_admin
        self._repository = repository
        self._gate = gate
        self._limits = limits
        self._answers = PerModel(ClassifyAnswers)
        self._stream_answers = PerModel(StreamAnswers)

    def methods(self) -> MethodTable:
        """The handlers by the full paths of their methods."""
        codes, group = CONVEYOR_CODES, Group.INFERENCE
        return {
            f"/{SERVICE}/Classify": UnaryMethod(
                handler=self.classify, request_type=pb.ClassifyRequest, codes=codes, group=group
            ),
            f"/{SERVICE}/ClassifyStream": StreamMethod(
                handler=self.classify_stream, request_type=pb.ClassifyStreamRequest, codes=codes, group=group
            ),
            f"/{SERVICE}/GetModel": UnaryMethod(
                handler=self.get_model, request_type=pb.GetModelRequest, codes=codes, group=group
            ),
            f"/{SERVICE}/ListModels": UnaryMethod(
                handler=self.list_models, request_type=pb.ListModelsRequest, codes=codes, group=group
            ),
        }

    async def classify(self, request: pb.ClassifyRequest, context: CallContext) -> Response:
        """One call with one image or many. A lone image's error is the call's own."""
        with self._gate:
            model = self._find(request.model_name, request.model_version, request.request_id, context)
            images = request.images
            if not 0 < len(images) <= self._limits.max_images_per_request:
                refusal = self._wrong_count(len(images))
                model.note_failure(refusal, time.monotonic())
                raise refusal
            inference = await model.infer(images, _deadline(request.timeout_ms, context))
            if inference.outcome is None and len(images) == 1:
                raise inference.only_error()
            return self._answers.of(model).answer(inference, request.top_k, request.request_id)

    async def classify_stream(
        self, requests: AsyncIterator[pb.ClassifyStreamRequest], context: CallContext
    ) -> AsyncGenerator[Response, None]:
        """Images as they come; each item is answered, by its result or by an error of its own."""

        async def answer(item: _StreamItem) -> Response:
            return await self._answer_item(item, context)

        with self._gate:
            work = Conveyance(answer, self._limits.max_stream_in_flight)
            async with aclosing(work.run(_completed(requests), self._gate.closed)) as responses:
                async for response in responses:
                    yield response
            if self._gate.closed.is_set():
                raise stopping()

    def _find(self, name: str, version: str, request_id: str, context: CallContext) -> Model:
        canary = self._overseer.canary_for(name, version, request_id, context)
        return canary or self._repository.find(name, version)

    async def _answer_item(self, item: _StreamItem, context: CallContext) -> Response:
        response = pb.ClassifyStreamResponse(item_id=item.item_id)
        try:
            model = self._find(item.model_name, item.model_version, "", context)
            response.model_name = model.name
            response.model_version = model.version_text
            response.file_digest = model.file_digest
            inference = await model.infer([item.image or pb.Image()], context.deadline)
            return self._stream_answers.of(model).answer(item.item_id, inference, item.top_k)
        except Exception as error:
            write_error(response.result, known_error(error))
        return response

    async def get_model(self, request: pb.GetModelRequest, context: CallContext) -> pb.GetModelResponse:
        """A version's state and, once it is loaded, its contract."""
        if request.include_golden_samples:
            if not self._limits.expose_golden_samples:
                message = "golden samples may be real training images; the server must be started with them exposed"
                raise ServingError(ErrorKind.FORBIDDEN, message)
            self._check_admin(context)
        entry = self._repository.entry(request.model_name, request.model_version)
        response = pb.GetModelResponse(status=entry.status())
        if entry.model is not None and entry.model.contract is not None:
            response.contract.CopyFrom(entry.model.contract)
            if request.include_golden_samples:
                response.golden_samples.CopyFrom(entry.model.golden)
            drift = await self._overseer.drift_of(entry.model)
            if drift is not None:
                response.drift.CopyFrom(drift)
        return response

    async def list_models(self, request: pb.ListModelsRequest, context: CallContext) -> pb.ListModelsResponse:
        """Every version in the repository, with its state."""
        statuses = (entry.status() for entry in self._repository.entries())
        wanted = [s for s in statuses if not request.ready_only or s.state == pb.MODEL_STATE_READY]
        return pb.ListModelsResponse(models=wanted)

    def _wrong_count(self, count: int) -> ServingError:
        limit = self._limits.max_images_per_request
        message = (
            f"the request holds {count} images; at most {limit} may come in one call"
            if count
            else "the request holds no image; give at least one"
        )
        return ServingError(ErrorKind.INVALID_ARGUMENT, message)


async def _completed(requests: AsyncIterator[pb.ClassifyStreamRequest]) -> AsyncGenerator[_StreamItem, None]:
    """Messages with what earlier ones said of the model and of top_k."""
    last = _StreamItem()
    async for request in requests:
        # A name brings its own version, be it empty: the version of another model means nothing to it.
        keeps = not request.model_name
        last = _StreamItem(
            item_id=request.item_id,
            image=request.image,
            model_name=last.model_name if keeps else request.model_name,
            model_version=request.model_version or (last.model_version if keeps else ""),
            top_k=request.top_k or last.top_k,
        )
        yield last


def _deadline(timeout_ms: int, context: CallContext) -> float | None:
    """The earlier of the call's deadline and the request's own limit, in seconds of `time.monotonic()`."""
    if not timeout_ms:
        return context.deadline
    own = time.monotonic() + timeout_ms / 1000
    return own if context.deadline is None else min(own, context.deadline)
