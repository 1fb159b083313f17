"""ModelInfer and ModelStreamInfer: from a request to the model and back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field

import numpy as np

from conveyor.v1 import classifier_pb2
from conveyor_server.batch import Rows
from conveyor_server.calls import CallContext, SerializedResponse, known_error
from conveyor_server.errors import ServingError
from conveyor_server.gate import Gate, stopping
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.inference.codes import in_protocol_words
from conveyor_server.inference.inputs import read_inputs
from conveyor_server.inference.lookup import find_model
from conveyor_server.inference.outputs import read_wanted, write_answer
from conveyor_server.inference.parameters import FINAL_RESPONSE, marks_final_response, read_parameters
from conveyor_server.inference.shared_memory import SharedMemory
from conveyor_server.inference.shortcut import InferShortcut
from conveyor_server.inference.usual import UsualRequest
from conveyor_server.model import Model
from conveyor_server.overseer import Overseer
from conveyor_server.per_model import PerModel
from conveyor_server.repository import Repository
from conveyor_server.request_queue import priority_of
from conveyor_server.stream import Conveyance

# A caller that sends this in its metadata wants the first error of a stream to end it, with its code.
ERRORS_END_STREAM = ("triton_grpc_error", "true")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """A stream's request and its place among the others: answers go out in the order of the requests."""

    request: pb.ModelInferRequest
    before: asyncio.Event
    done: asyncio.Event = field(default_factory=asyncio.Event)


class InferenceHandlers:
    """The handlers that run models, over one repository."""

    def __init__(
        self,
        repository: Repository,
        overseer: Overseer,
        gate: Gate,
        memory: SharedMemory,
        max_stream_in_flight: int,
    ) -> None:
        self._repository = repository
        self._overseer = overseer
        self._gate = gate
        self._memory = memory
        self._max_stream_in_flight = max_stream_in_flight
        self._usual = PerModel(UsualRequest)
        self.shortcut = InferShortcut(repository, overseer, gate, self._usual)

    async def model_infer(self, request: pb.ModelInferRequest, context: CallContext) -> SerializedResponse:
        """One request, one answer."""
        try:
            with self._gate:
                return await self._answer(request, context)
        except ServingError as error:
            raise in_protocol_words(error, request.id) from error

    async def model_stream_infer(
        self, requests: AsyncIterator[pb.ModelInferRequest], context: CallContext
    ) -> AsyncGenerator[pb.ModelStreamInferResponse, None]:
        """Requests as they come, worked on together, answered in their order."""
        key, value = ERRORS_END_STREAM
        errors_end_stream = context.metadata.get(key) == value

        async def answer(turn: _Turn) -> pb.ModelStreamInferResponse:
            try:
                return await self._stream_answer(turn, context, errors_end_stream)
            finally:
                turn.done.set()

        with self._gate:
            work = Conveyance(answer, self._max_stream_in_flight)
            async with aclosing(work.run(_in_turn(requests), self._gate.closed)) as responses:
                async for response in responses:
                    yield response
            if self._gate.closed.is_set():
                raise in_protocol_words(stopping(), "")

    async def _stream_answer(
        self, turn: _Turn, context: CallContext, errors_end_stream: bool
    ) -> pb.ModelStreamInferResponse:
        request = turn.request
        response = pb.ModelStreamInferResponse()
        failure: ServingError | None = None
        try:
            answer = await self._answer(request, context)
            response.infer_response.MergeFromString(answer.SerializeToString())
        except Exception as error:
            failure = in_protocol_words(known_error(error), request.id)
            response.error_message = str(failure)
            response.infer_response.id = request.id
        await turn.before.wait()
        if failure is not None and errors_end_stream:
            raise failure
        if marks_final_response(request.parameters):
            response.infer_response.parameters[FINAL_RESPONSE].bool_param = True
        return response

    async def _answer(self, request: pb.ModelInferRequest, context: CallContext) -> SerializedResponse:
        arrived = time.monotonic()
        name, version = request.model_name, request.model_version
        canary = self._overseer.canary_for(name, version, request.id, context)
        model = canary or find_model(self._repository, name, version)
        usual = self._usual.of(model)
        usual_rows = usual.rows_of(request)
        if usual_rows is not None:
            outcome = await model.run(usual_rows, context.deadline, arrived)
            answer = usual.answer(outcome.output)
            if request.id:
                # The fields of a message may come in any order.
                answer += pb.ModelInferResponse(id=request.id).SerializeToString()
            return SerializedResponse(answer)
        try:
            parameters = read_parameters(request.parameters)
            wanted = read_wanted(request, model)
            inputs = read_inputs(request, model, self._memory)
        except ServingError as error:
            model.note_failure(error, arrived)
            raise
        deadline = context.deadline
        if parameters.timeout is not None:
            own = arrived + parameters.timeout
            deadline = own if deadline is None else min(own, deadline)
        priority = priority_of(parameters.priority)
        if isinstance(inputs, list):
            rows = await _infer_images(model, inputs, deadline, priority)
        else:
            rows = (await model.run(inputs, deadline, arrived, priority)).output
        return write_answer(model, request.id, wanted, rows, self._memory)


async def _in_turn(requests: AsyncIterator[pb.ModelInferRequest]) -> AsyncGenerator[_Turn, None]:
    before = asyncio.Event()
    before.set()
    async for request in requests:
        turn = _Turn(request=request, before=before)
        yield turn
        before = turn.done


async def _infer_images(model: Model, encoded: list[bytes], deadline: float | None, priority: int) -> Rows:
    """The answers for encoded images. Raises ServingError, the first image's that cannot be read."""
    inference = await model.infer([classifier_pb2.Image(encoded=image) for image in encoded], deadline, priority)
    outputs = []
    for result in inference.results:
        if isinstance(result, ServingError):
            raise result
        outputs.append(result)
    return np.stack(outputs)
