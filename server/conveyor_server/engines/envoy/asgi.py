"""gRPC as an ASGI application: a table of methods behind whatever speaks HTTP/2 and ASGI."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing
from typing import Any, Final

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
from conveyor_server.engines.envoy.call import DISCONNECT, Call, Calls, Headers, Receive, Scope, Send
from conveyor_server.engines.envoy.framing import FrameReader, read_whole
from conveyor_server.engines.envoy.request import RequestBody, messages, rest_of_body
from conveyor_server.engines.envoy.response import StreamResponse, answer, check_size, fail
from conveyor_server.errors import StartError
from conveyor_server.listening import Listening
from conveyor_server.shortening import shortened
from conveyor_server.statuses import Code

log = logging.getLogger(__name__)

GRPC: Final = b"application/grpc"
# As ASGI calls it.
HTTP2: Final = "2"
# Seconds that Envoy may take to open the port, once it has started the application.
OPEN_SECONDS: Final = 10.0
# Seconds for calls that are cut off to tell their callers.
LAST_WORDS_SECONDS: Final = 1.0


class AsgiEngine:
    """Carries a table of methods. Envoy owns the port: this only answers what comes in through `handle`."""

    name = "envoy"
    takes_turns = True

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
        self._is_open = False
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
        self._is_open = True
        return port

    async def send_away(self) -> None:
        """Asks callers to make their next calls elsewhere; returns when those who call now have heard it."""
        if not self._is_open:
            # There are none; and Envoy, which would wait for the start of what asks it, would never answer.
            return
        try:
            await self._send_away()
        except OSError:
            log.warning("callers could not be asked to go elsewhere", exc_info=True)

    async def stop(self, grace: float) -> None:
        """Gives the calls in progress `grace` seconds, then ends them with UNAVAILABLE."""
        failure = CallError(Code.UNAVAILABLE, "the server has stopped")
        await self._calls.end(failure, grace, LAST_WORDS_SECONDS)

    def handle(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """One HTTP request from its first header to its last trailer; not itself a coroutine, to save one each call."""
        headers = dict(scope["headers"])
        if not headers.get(b"content-type", b"").startswith(GRPC):
            return (
                _refuse(send, 415, "This port speaks gRPC only.")
                if self._http is None
                else plain_http.answer(self._http, scope, receive, send)
            )
        if scope["http_version"] != HTTP2:
            # Not gRPC's, and without TLS all that browsers speak: no page may ask here, whatever name led it to us.
            return _refuse(send, 505, "gRPC needs HTTP/2.")
        path = scope["path"]
        method = self._methods.get(path)
        if isinstance(method, UnaryMethod):
            return self._unary(method, scope, headers, receive, send)
        if isinstance(method, StreamMethod):
            return self._stream(method, scope, headers, receive, send)
        return fail(send, CallError(Code.UNIMPLEMENTED, f"this server has no method {shortened(path)}"))

    async def _unary(self, method: UnaryMethod, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        # Nearly always the whole request: so it is read here, and the machinery for the other case is left out.
        first = await receive()
        if first["type"] == DISCONNECT:
            return
        call = Call(scope, headers, self._calls)
        try:
            with call:
                body = first.get("body", b"")
                if first.get("more_body", False):
                    body = await rest_of_body(body, receive, self._max_bytes)
                message = read_whole(body, headers.get(b"grpc-encoding"), self._max_bytes)
                call.request_complete(receive)
                message = await answer_unary(method, message, call)
                check_size(message, self._max_bytes)
        except CallError as failure:
            await fail(send, failure, call.trailing)
        else:
            await answer(send, message, call.trailing)

    async def _stream(self, method: StreamMethod, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        call = Call(scope, headers, self._calls)
        response = StreamResponse(send, self._max_bytes)
        frames = FrameReader(headers.get(b"grpc-encoding"), self._max_bytes)
        try:
            with call:
                requests = messages(RequestBody(receive, call), frames)
                async with aclosing(answer_stream(method, requests, call)) as answers:
                    async for message in answers:
                        await response.write(message)
                await response.flush()
        except CallError as failure:
            await response.fail(failure, call.trailing)
        else:
            await response.end(call.trailing)


async def _refuse(send: Send, status: int, words: str) -> None:
    headers = [(b"content-type", b"text/plain")]
    send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{words}\n".encode(), "more_body": False})
