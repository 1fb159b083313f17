"""A call that is made again, while the server says before any work that it is stopping, full or not there."""

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

import grpc

from conveyor_client.attempts import Attempts, pushback
from conveyor_client.hedging import AsyncHedgedCall, HedgedCall
from conveyor_client.statuses import is_too_large, status_code

Answer = TypeVar("Answer")


class RetriedCall(Generic[Answer]):
    """A call under way. `start` begins one with its timeout in seconds; further ones begin in result()."""

    def __init__(self, start: Callable[[float | None], HedgedCall[Answer]], attempts: Attempts) -> None:
        self._start = start
        self._attempts = attempts
        self._call = start(attempts.remaining())

    def result(self) -> Answer:
        """The answer, or the failure of the last attempt."""
        while True:
            try:
                return self._call.result()
            except grpc.RpcError as error:
                wait = self._attempts.wait_after(status_code(error), pushback(error))
                if wait is None or is_too_large(error):
                    raise
            time.sleep(wait)
            self._call = self._start(self._attempts.remaining())

    def cancel(self) -> None:
        """Gives up what is under way."""
        self._call.cancel()


class AsyncRetriedCall(Generic[Answer]):
    """As RetriedCall, to await."""

    def __init__(self, start: Callable[[float | None], AsyncHedgedCall[Answer]], attempts: Attempts) -> None:
        self._start = start
        self._attempts = attempts
        self._call = start(attempts.remaining())

    async def result(self) -> Answer:
        """The answer, or the failure of the last attempt."""
        while True:
            try:
                return await self._call.result()
            except grpc.aio.AioRpcError as error:
                wait = self._attempts.wait_after(error.code(), pushback(error))
                if wait is None or is_too_large(error):
                    raise
            await asyncio.sleep(wait)
            self._call = self._start(self._attempts.remaining())

    def cancel(self) -> None:
        """Gives up what is under way."""
        self._call.cancel()
