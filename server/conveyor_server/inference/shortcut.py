"""The quick way of ModelInfer: a usual request whose form is known goes from its bytes straight to the batcher."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from weakref import ref

import numpy as np

from conveyor_server.batch import Rows
from conveyor_server.calls import CallContext
from conveyor_server.errors import ServingError
from conveyor_server.gate import Gate
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.inference.codes import in_protocol_words
from conveyor_server.inference.usual import UsualRequest
from conveyor_server.model import Model
from conveyor_server.overseer import Overseer
from conveyor_server.per_model import PerModel
from conveyor_server.repository import Repository
from conveyor_server.request_forms import RequestForms


class _Tensor:
    """What a form means: a tensor of this shape for whichever model has the name now."""

    __slots__ = ("model", "name", "shape", "usual", "version")

    def __init__(self, request: pb.ModelInferRequest) -> None:
        self.name, self.version = request.model_name, request.model_version
        self.shape = tuple(request.inputs[0].shape)
        # The model that answered the last request of this form, not kept alive, and how it reads and answers them.
        self.model: ref[Model] | None = None
        self.usual: UsualRequest | None = None


class InferShortcut:
    """Over one repository, as `InferenceHandlers`."""

    def __init__(self, repository: Repository, overseer: Overseer, gate: Gate, usual: PerModel[UsualRequest]) -> None:
        self._repository = repository
        self._overseer = overseer
        self._gate = gate
        self._usual = usual
        self._forms: RequestForms[_Tensor] = RequestForms()

    def take(self, payload: bytes, context: CallContext) -> Awaitable[bytes] | None:
        """As `calls.Shortcut`."""
        form = self._forms.find(payload)
        if form is None or self._gate.is_closed:
            return None
        tensor = form.meaning
        if not tensor.version and self._overseer.shares_out(tensor.name):
            # Each request is drawn for once, and the long way does it.
            return None
        model = self._model_of(tensor.name, tensor.version)
        if model is None:
            return None
        usual = tensor.usual
        if usual is None or tensor.model is None or tensor.model() is not model:
            # Another model than last time; its tensors may have other names.
            usual = self._usual.of(model)
            if usual.rows_of(pb.ModelInferRequest.FromString(payload)) is None:
                return None
            tensor.model, tensor.usual = ref(model), usual
        rows = np.ndarray(tensor.shape, usual.dtype, payload, len(form.start))
        return self._run(model, usual, rows, context)

    def learn(self, payload: bytes, request: pb.ModelInferRequest) -> None:
        """As `calls.Shortcut`."""
        if len(request.raw_input_contents) != 1 or request.id:
            return
        model = self._model_of(request.model_name, request.model_version)
        if model is not None and self._usual.of(model).rows_of(request) is not None:
            self._forms.learn(payload, request.raw_input_contents[0], _content_of, _Tensor(request))

    async def _run(self, model: Model, usual: UsualRequest, rows: Rows, context: CallContext) -> bytes:
        try:
            with self._gate:
                outcome = await model.run(rows, context.deadline, time.monotonic())
        except ServingError as error:
            raise in_protocol_words(error, "") from error
        return usual.answer(outcome.output)

    def _model_of(self, name: str, version: str) -> Model | None:
        try:
            return self._repository.find(name, version)
        except ServingError:
            # The long way says why.
            return None


def _content_of(payload: bytes) -> bytes:
    return pb.ModelInferRequest.FromString(payload).raw_input_contents[0]
