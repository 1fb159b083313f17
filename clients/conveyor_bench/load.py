"""The load itself: a closed loop of a fixed number of requests under way, or an open loop at a fixed rate.

Requests go out as bytes that were serialised before, so that the client takes as little of the machine as it can.
The open loop times each request from the moment it was meant to be sent: a server (or a client) that falls behind
is charged for the wait, as callers who came at that moment would feel it.
"""

import asyncio
import time
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass

import grpc

from conveyor.v1 import classifier_pb2
from conveyor_bench.recorder import AnswerCheck, Recorder
from conveyor_client.channel import channel_options

_CLASSIFY = "/conveyor.v1.ClassifierService/Classify"
Call = grpc.aio.UnaryUnaryMultiCallable[bytes, classifier_pb2.ClassifyResponse]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run: what was recorded, how long it took and how much of a core this process used meanwhile."""

    recorder: Recorder
    seconds: float
    client_cpu: float


class Load:
    """Sends requests in turn over some connections, without retries. Use with `async with`."""

    def __init__(self, address: str, requests: Sequence[bytes], timeout: float, connections: int) -> None:
        # A pool of its own makes a channel a connection of its own.
        options = [*channel_options(max_attempts=1), ("grpc.use_local_subchannel_pool", 1)]
        self._channels = [grpc.aio.insecure_channel(address, options) for _ in range(connections)]
        self._calls: list[Call] = [
            channel.unary_unary(_CLASSIFY, response_deserializer=classifier_pb2.ClassifyResponse.FromString)
            for channel in self._channels
        ]
        self._requests = requests
        self._timeout = timeout
        self._check = AnswerCheck(len(requests))
        self._sent = 0

    async def __aenter__(self) -> "Load":
        return self

    async def __aexit__(self, *exception: object) -> None:
        for channel in self._channels:
            await channel.close()

    async def closed(self, concurrency: int, duration: float) -> Measured:
        """Keeps `concurrency` requests under way for `duration` seconds, then waits for the last of them."""
        recorder, end = Recorder(), time.perf_counter() + duration

        async def caller() -> None:
            while (now := time.perf_counter()) < end:
                await self._request(recorder, now)

        return await _measure(recorder, asyncio.gather(*(caller() for _ in range(concurrency))))

    async def open(self, send_times: Iterable[float]) -> Measured:
        """Sends a request at each of the times, in seconds from now, then waits for the last of them."""
        recorder, start = Recorder(), time.perf_counter()

        async def sender() -> None:
            async with asyncio.TaskGroup() as under_way:
                for send_time in send_times:
                    intended = start + send_time
                    # Also when late: without a turn of the loop no answer would be read.
                    await asyncio.sleep(max(0.0, intended - time.perf_counter()))
                    recorder.sent_late(time.perf_counter() - intended)
                    under_way.create_task(self._request(recorder, intended))

        return await _measure(recorder, sender())

    async def _request(self, recorder: Recorder, began: float) -> None:
        number = self._sent % len(self._requests)
        call = self._calls[self._sent % len(self._calls)]
        self._sent += 1
        try:
            response = await call(self._requests[number], timeout=self._timeout)
        except grpc.aio.AioRpcError as error:
            recorder.failed(error.code().name)
            return
        recorder.answered(time.perf_counter() - began, response.timings)
        if not self._check.same(number, response):
            recorder.changed_answers += 1


async def _measure(recorder: Recorder, work: Awaitable[object]) -> Measured:
    began, cpu = time.perf_counter(), time.process_time()
    await work
    seconds = time.perf_counter() - began
    return Measured(recorder=recorder, seconds=seconds, client_cpu=(time.process_time() - cpu) / seconds)
