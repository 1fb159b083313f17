"""Callers who ask without a pause, in every way there is, and look at each answer."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType

import grpc
import numpy as np
from grpc import aio
from tritonclient.grpc import service_pb2 as triton_pb
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from conveyor.v1 import classifier_pb2 as pb
from conveyor.v1.classifier_pb2_grpc import ClassifierServiceStub
from conveyor_contract.preprocessing import encode_png
from tests.chaos.answers import MODEL, RightAnswers
from tests.chaos.tally import Tally
from tests.server.envoy.asking import ROWS, image

# Seconds that a call may take; far more than any needs.
DEADLINE = 20.0
# Seconds more, after which the client itself has failed to end a call.
GRACE = 5.0
# Seconds before a refused caller asks again: the first time, and at most; it doubles, as clients' pauses do.
FIRST_PAUSE = 0.02
LONGEST_PAUSE = 0.5
STREAM_ITEMS = 8
# What the inference protocol says of a model that is not there at the moment, as NOT_FOUND.
UNLOADED = "has no available versions"
# What grpcio's asyncio client says by itself, as INTERNAL, when it still sends into a stream that the server has just
# refused: it fails to send before it reads the server's own UNAVAILABLE.
MASKED = "Internal error from Core"
REFUSALS = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 200))
PNGS = [encode_png(row) for row in ROWS]

Way = Callable[[aio.Channel, int], Awaitable[None]]


class RefusedItem(Exception):
    """An item of a stream that may be asked for again."""


class Callers:
    """A number of callers of each kind; `tally` grows for as long as the `async with` lasts."""

    def __init__(self, address: str, right: RightAnswers, each: int = 2, ways: tuple[str, ...] = ()) -> None:
        """`each` callers of each of the ways; of all of them when none is named."""
        self._address = address
        self._right = right
        self._each = each
        known: dict[str, Way] = {
            "pixels": self._pixels,
            "image": self._image,
            "tensor": self._tensor,
            "stream": self._stream,
        }
        self._ways = [known[name] for name in ways or known]
        self._go_on = True
        self._tasks: list[asyncio.Task[None]] = []
        self.tally = Tally()

    async def __aenter__(self) -> "Callers":
        for number in range(self._each * len(self._ways)):
            way = self._ways[number % len(self._ways)]
            self._tasks.append(asyncio.create_task(self._ask_on(way, number)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._go_on = False
        await asyncio.gather(*self._tasks)

    async def until(self, condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        """Waits; raises TimeoutError with what was waited for."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: not within {seconds:.0f} s")
            await asyncio.sleep(0.02)

    async def until_answered(self, more: int = 200) -> None:
        """Waits for so many further answers, right or wrong."""
        wanted = self.tally.versions.total() + more
        await self.until(lambda: self.tally.versions.total() >= wanted, f"{more} further answers")

    async def until_version(self, version: int) -> None:
        """Waits until that version answers."""
        await self.until(lambda: self.tally.last_version == str(version), f"an answer of version {version}")

    async def cancel_some(self, seconds: float, seed: int = 0) -> None:
        """For so long, further callers who leave after a moment, most of them before they are answered."""
        choice = random.Random(seed)
        end = time.monotonic() + seconds
        async with aio.insecure_channel(self._address, OWN_CONNECTION) as channel:
            while time.monotonic() < end:
                ways = [choice.choice(self._ways) for _ in range(8)]
                tasks = [asyncio.create_task(self._once(way, channel, n)) for n, way in enumerate(ways)]
                for task in tasks:
                    await asyncio.sleep(choice.random() * 0.004)
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
                self.tally.cancelled += sum(isinstance(one, asyncio.CancelledError) for one in ended)

    async def _ask_on(self, way: Way, first: int) -> None:
        async with aio.insecure_channel(self._address, OWN_CONNECTION) as channel:
            index, pause = first, FIRST_PAUSE
            while self._go_on:
                if await self._once(way, channel, index):
                    pause = FIRST_PAUSE
                else:
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
                index += 1

    async def _once(self, way: Way, channel: aio.Channel, index: int) -> bool:
        """One call, counted by its end; False when it was refused."""
        tally = self.tally
        try:
            await asyncio.wait_for(way(channel, index), DEADLINE + GRACE)
        except TimeoutError:
            tally.note_stranded("the call has no end")
        except RefusedItem:
            tally.refused += 1
            return False
        except aio.AioRpcError as error:
            if error.code() in REFUSALS or error.details() == MASKED or UNLOADED in (error.details() or ""):
                tally.refused += 1
                return False
            note = tally.note_stranded if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED else tally.note_lost
            note(f"{error.code().name}: {error.details()}")
        return True

    async def _pixels(self, channel: aio.Channel, index: int) -> None:
        await self._classify(channel, index, image(index))

    async def _image(self, channel: aio.Channel, index: int) -> None:
        await self._classify(channel, index, pb.Image(encoded=PNGS[index % len(PNGS)]))

    async def _classify(self, channel: aio.Channel, index: int, picture: pb.Image) -> None:
        started = time.monotonic()
        request = pb.ClassifyRequest(model_name=MODEL, images=[picture])
        answer = await ClassifierServiceStub(channel).Classify(request, timeout=DEADLINE)
        best = answer.results[0].answer.predictions[0]
        self._note(answer.model_version, index, best.index, best.probability, started)

    async def _tensor(self, channel: aio.Channel, index: int) -> None:
        started = time.monotonic()
        request = triton_pb.ModelInferRequest(model_name=MODEL)
        request.inputs.add(name="image", datatype="UINT8", shape=[1, 8, 8, 1])
        request.raw_input_contents.append(ROWS[index % len(ROWS)].tobytes())
        answer = await GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=DEADLINE)
        output = np.frombuffer(answer.raw_output_contents[0], np.float32)
        self._note(answer.model_version, index, int(output.argmax()), float(output.max()), started)

    async def _stream(self, channel: aio.Channel, index: int) -> None:
        started = time.monotonic()

        async def items() -> AsyncIterator[pb.ClassifyStreamRequest]:
            for number in range(index, index + STREAM_ITEMS):
                yield pb.ClassifyStreamRequest(item_id=number, image=image(number), model_name=MODEL)

        call = ClassifierServiceStub(channel).ClassifyStream(items(), timeout=DEADLINE)
        left = set(range(index, index + STREAM_ITEMS))
        try:
            async for answer in call:
                if answer.item_id not in left:
                    self.tally.note_lost(f"item {answer.item_id} was answered twice, or never asked")
                left.discard(answer.item_id)
                self._note_item(answer, started)
        finally:
            # One that is left before its end would keep its connection, whatever becomes of the channel.
            call.cancel()
        if left:
            self.tally.note_lost(f"a stream ended well, and {len(left)} items have no answer")

    def _note_item(self, answer: pb.ClassifyStreamResponse, started: float) -> None:
        error = answer.result.error
        if error.code in [code.value[0] for code in REFUSALS]:
            raise RefusedItem(error.message)
        if error.code:
            self.tally.note_lost(f"item: {error.message}")
            return
        best = answer.result.answer.predictions[0]
        self._note(answer.model_version, answer.item_id, best.index, best.probability, started)

    def _note(self, version: str, index: int, label: int, probability: float, started: float) -> None:
        mistake = self._right.mistake(version, index, label, probability)
        self.tally.note_answer(version, mistake, time.monotonic() - started)
