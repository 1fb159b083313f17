"""gRPC as an ASGI application: a table of methods behind whatever speaks HTTP/2 and ASGI."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Final

from conveyor_server.calls import (
    CallError,
    MethodTable,
    StreamMethod,
    UnaryMethod,
    answer_stream,
    answer_unary,
)
from conveyor_server.engines import HttpApplication
from conveyor_server.engines.envoy import plain_http
from conveyor_server.engines.envoy.call import DISCONNECT, Call, Calls, Receive, Scope, Send
from conveyor_server.engines.envoy.framing import FrameReader, read_whole
from conveyor_server.engines.envoy.request import RequestBody, messages, only_message
from conveyor_server.engines.envoy.response import Response
from conveyor_server.errors import StartError
from conveyor_server.listening import Listening
from conveyor_server.statuses import Code

log = logging.getLogger(__name__)

GRPC: Final = b"application/grpc"
# Seconds that Envoy may take to open the port, once it has started the application.
OPEN_SECONDS: Final = 10.0
# Seconds for calls that are cut off to tell their callers.
LAST_WORDS_SECONDS: Final = 1.0


class AsgiEngine:
    """Carries a table of methods. Envoy owns the port: this only answers what comes in through `handle`."""

    name = "envoy"

    def __init__(
        self,
        methods: MethodTable,
        listening: Listening,
        open_port: Callable[[], Awaitable[None]],
        send_away: Callable[[], Awaitable[None]],
    ) -> None:
        """`open_port` lets Envoy open the port, and waits until it is; `send_away` is Envoy's part of that."""
        self._methods = methods
        self._open_port = open_port
        self._send_away = send_away
        self._listening = listening
        self._max_bytes = listening.max_message_bytes
        self._calls = Calls()
        # What is not gRPC goes here; without it, it is refused.
        self._http: HttpApplication | None = None

    def answer_http(self, application: HttpApplication) -> None:
        """Has requests that are not gRPC answered by this."""
        self._http = application

    async def start(self) -> int:
        """Lets Envoy open the port, and returns it. Raises StartError when that takes too long."""
        host, port = self._listening.host, self._listening.port
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await self._open_port()
        except TimeoutError:
            raise StartError(f"Envoy did not open {host}, port {port}, within {OPEN_SECONDS:.0f} seconds.") from None
        return port

    async def send_away(self) -> None:
        """Asks callers to make their next calls elsewhere; returns when those who call now have heard it."""
        try:
            await self._send_away()
        except OSError:
            log.warning("callers could not be asked to go elsewhere", exc_info=True)

    async def stop(self, grace: float) -> None:
        """Gives the calls in progress `grace` seconds, then ends them with UNAVAILABLE."""
        failure = CallError(Code.UNAVAILABLE, "the server has stopped")
        await self._calls.end(failure, grace, LAST_WORDS_SECONDS)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request from its first header to its last trailer."""
        response = Response(send, self._max_bytes)
        try:
            call = Call(scope, self._calls)
        except CallError as failure:
            if dict(scope["headers"]).get(b"content-type", b"").startswith(GRPC):
                await response.fail(failure, ())
            else:
                await self._answer_http(scope, receive, send)
            return
        if not call.headers.get(b"content-type", b"").startswith(GRPC):
            await self._answer_http(scope, receive, send)
            return
        method = self._methods.get(scope["path"])
        try:
            if isinstance(method, UnaryMethod):
                await self._unary(method, call, receive, response)
            elif isinstance(method, StreamMethod):
                await self._stream(method, call, receive, response)
            else:
                raise CallError(Code.UNIMPLEMENTED, f"this server has no method {scope['path']}")
        except CallError as failure:
            await response.fail(failure, call.trailing)

    async def _answer_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._http is None:
            await _refuse(send)
        else:
            await plain_http.answer(self._http, scope, receive, send)

    async def _unary(self, method: UnaryMethod, call: Call, receive: Receive, response: Response) -> None:
        # Nearly always the whole request: so it is read here, and the machinery for the other case is left out.
        first = await receive()
        if first["type"] == DISCONNECT:
            return
        with call:
            encoding = call.headers.get(b"grpc-encoding")
            if first.get("more_body", False):
                frames = FrameReader(encoding, self._max_bytes)
                frames.feed(first["body"])
                message = await only_message(RequestBody(receive, call), frames)
            else:
                message = read_whole(first["body"], encoding, self._max_bytes)
                call.request_complete(receive)
            answer = await answer_unary(method, message, call)
        await response.answer(answer, call.trailing)

    async def _stream(self, method: StreamMethod, call: Call, receive: Receive, response: Response) -> None:
        frames = FrameReader(call.headers.get(b"grpc-encoding"), self._max_bytes)
        with call:
            requests = messages(RequestBody(receive, call), frames)
            async with aclosing(answer_stream(method, requests, call)) as answers:
                async for answer in answers:
                    await response.write(answer)
        await response.end(call.trailing)


async def _refuse(send: Send) -> None:
    headers = [(b"content-type", b"text/plain")]
    send({"type": "http.response.start", "status": 415, "headers": headers})
    await send({"type": "http.response.body", "body": b"This port speaks gRPC only.\n", "more_body": False})
