"""The quick way of ModelInfer: the same answers and errors as the long way, for whichever model has the name now."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from conveyor_server.batch import Rows
from conveyor_server.batch_limits import BatchLimits
from conveyor_server.batcher import QUIET_TURNS, Batcher
from conveyor_server.calls import CallError, UnaryMethod, answer_unary
from conveyor_server.datatypes import DATATYPES
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.gate import Gate
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.inference.codes import INFERENCE_CODES
from conveyor_server.inference.infer import InferenceHandlers
from conveyor_server.inference.shared_memory import SharedMemory
from conveyor_server.model import Model
from conveyor_server.signature import TensorSignature
from conveyor_server.statuses import Code
from tests.inference.test_usual import model_of
from tests.server.scripted import ScriptedInstance, in_loop

ROWS = np.arange(6, dtype=np.float32).reshape(1, 2, 3)


class Caller:
    """A call's context."""

    deadline: float | None = None


class Place:
    """A repository of one name, and the overseer of its traffic."""

    def __init__(self) -> None:
        self.serving: Model | None = None
        self.canary: Model | None = None
        self.draws = 0

    def find(self, name: str, version: str) -> Model:
        if self.serving is None:
            raise ServingError(ErrorKind.NOT_READY, "it is gone")
        return self.serving

    def shares_out(self, name: str) -> bool:
        return self.canary is not None

    def canary_for(self, name: str, version: str, request_id: str, context: object) -> Model | None:
        self.draws += 1
        return self.canary

    @property
    def is_known(self) -> bool:
        return False


class Scene:
    """The method, its models and what a test asks of them. Each model's instance adds a number of its own."""

    def __init__(self, queue: int = 8) -> None:
        self.place = Place()
        self.gate = Gate()
        self.queue = queue
        self.instances: dict[int, ScriptedInstance] = {}
        self.place.serving = self.model(1)
        handlers = InferenceHandlers(cast(Any, self.place), cast(Any, self.place), self.gate, SharedMemory(), 1)
        self.parsed = 0

        async def counted(request: pb.ModelInferRequest, context: Any) -> Any:
            self.parsed += 1
            return await handlers.model_infer(request, context)

        self.method = UnaryMethod(
            handler=counted,
            request_type=pb.ModelInferRequest,
            codes=INFERENCE_CODES,
            shortcut=handlers.shortcut,
        )

    def model(self, version: int, input_name: str = "x0") -> Model:
        limits = BatchLimits(max_batch_size=4, max_queue_size=self.queue)
        self.instances[version] = ScriptedInstance()
        batcher = Batcher(limits, [self.instances[version]], asyncio.get_running_loop())
        model = model_of()
        tensor = TensorSignature(name=input_name, datatype=DATATYPES["FP32"], shape=(2, 3))
        signature = replace(model.signature, inputs=[tensor])
        return replace(model, version=version, version_text=str(version), signature=signature, batcher=batcher)

    def ask(self, rows: Rows = ROWS, **fields: Any) -> asyncio.Task[bytes]:
        request = pb.ModelInferRequest(model_name="m", raw_input_contents=[rows.tobytes()], **fields)
        request.inputs.add(name="x0", datatype="FP32", shape=rows.shape)
        context = cast(Any, Caller())
        return asyncio.create_task(answer_unary(self.method, request.SerializeToString(), context))

    async def answer(self, version: int, asked: asyncio.Task[bytes]) -> pb.ModelInferResponse:
        """Once the version has run: its output is the first values of each row."""
        await self.until_runs(version)
        instance = self.instances[version]
        rows = instance.started[0][0].merge()
        instance.finish(rows.reshape(len(rows), -1)[:, :5].copy())
        return pb.ModelInferResponse.FromString(await asked)

    async def until_runs(self, version: int) -> None:
        for _ in range(4 * QUIET_TURNS):
            await asyncio.sleep(0)
        assert self.instances[version].started


@in_loop
async def test_only_the_first_request_of_a_form_is_parsed() -> None:
    scene = Scene()
    for number in range(4):
        rows = ROWS + number
        response = await scene.answer(1, scene.ask(rows))
        assert response.model_version == "1"
        assert response.outputs[0].name == "y"
        assert np.frombuffer(response.raw_output_contents[0], np.float32).tolist() == rows.ravel()[:5].tolist()
    assert scene.parsed == 1


@in_loop
async def test_a_request_with_an_id_goes_the_long_way_and_gets_it_back() -> None:
    scene = Scene()
    for number in range(3):
        response = await scene.answer(1, scene.ask(id=f"number {number}"))
        assert response.id == f"number {number}"
    assert scene.parsed == 3


@in_loop
async def test_a_new_version_answers_at_once_requests_of_a_form_learnt_before() -> None:
    scene = Scene()
    await scene.answer(1, scene.ask())
    scene.place.serving = scene.model(2)
    assert (await scene.answer(2, scene.ask())).model_version == "2"
    assert scene.parsed == 1


@in_loop
async def test_while_a_canary_has_a_share_each_request_is_drawn_for_just_once() -> None:
    scene = Scene()
    await scene.answer(1, scene.ask())
    scene.place.canary, scene.place.draws = scene.model(3), 0
    for _ in range(2):
        assert (await scene.answer(3, scene.ask())).model_version == "3"
    assert scene.place.draws == 2
    scene.place.canary = None
    parsed = scene.parsed
    assert (await scene.answer(1, scene.ask())).model_version == "1"
    assert scene.parsed == parsed


@in_loop
async def test_a_version_that_names_its_tensor_otherwise_refuses_as_ever() -> None:
    scene = Scene()
    await scene.answer(1, scene.ask())
    scene.place.serving = scene.model(2, input_name="pixels")
    with pytest.raises(CallError, match="x0") as error:
        await scene.ask()
    assert error.value.code is Code.INVALID_ARGUMENT


@in_loop
async def test_a_model_that_has_gone_and_a_gate_that_is_closed_are_told() -> None:
    scene = Scene()
    await scene.answer(1, scene.ask())
    serving, scene.place.serving = scene.place.serving, None
    with pytest.raises(CallError, match="it is gone"):
        await scene.ask()
    scene.place.serving = serving
    scene.gate.close()
    with pytest.raises(CallError, match="stopping") as error:
        await scene.ask()
    assert error.value.code is Code.UNAVAILABLE


@in_loop
async def test_a_full_queue_is_told_in_the_protocols_words() -> None:
    scene = Scene(queue=1)
    await scene.answer(1, scene.ask())
    running = scene.ask()
    await scene.until_runs(1)
    waiting = scene.ask()
    await asyncio.sleep(0)
    with pytest.raises(CallError, match="Exceeds maximum queue size") as error:
        await scene.ask()
    assert error.value.code is Code.UNAVAILABLE
    assert error.value.trailing_metadata
    await scene.answer(1, running)
    await scene.answer(1, waiting)
    assert scene.gate.inside == 0


@in_loop
async def test_a_caller_who_leaves_touches_nobody_else() -> None:
    scene = Scene()
    await scene.answer(1, scene.ask())
    running, leaving, staying = scene.ask(), None, None
    await scene.until_runs(1)
    leaving, staying = scene.ask(ROWS + 1), scene.ask(ROWS + 2)
    await asyncio.sleep(0)
    leaving.cancel()
    await scene.answer(1, running)
    response = await scene.answer(1, staying)
    assert np.frombuffer(response.raw_output_contents[0], np.float32)[0] == 2
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert scene.gate.inside == 0
