"""gRPC by grpcio's asyncio server. Always there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final, NoReturn

import grpc
from grpc import aio

from conveyor_server.calls import (
    REQUEST_ID_KEY,
    CallError,
    Method,
    MethodTable,
    StreamMethod,
    UnaryMethod,
    answer_stream,
    answer_unary,
    is_request_id,
)
from conveyor_server.engines import HttpApplication
from conveyor_server.engines.grpcio_tls import GrpcioCertificates
from conveyor_server.errors import StartError
from conveyor_server.listening import Listening, address_in_words, ensure_free

_CODES = {code.value[0]: code for code in grpc.StatusCode}

# What a verified certificate says of its owner, the best name first.
_CERTIFICATE_NAMES = ("peer_uri", "peer_dns", "x509_common_name", "x509_subject", "x509_pem_cert")

# Seconds for calls that are being refused to be told so; on a machine with much else to do that takes a while.
LAST_WORDS_SECONDS: Final = 3.0

ServicerContext = aio.ServicerContext[bytes, bytes]


class GrpcioEngine:
    """Serves a table of methods on one port."""

    name = "grpcio"
    # Its poller hands over one new call for each turn of the loop: as batch work it would get none in between.
    takes_turns = False

    def __init__(self, methods: MethodTable, listening: Listening) -> None:
        self._listening = listening
        self._watching: asyncio.Task[None] | None = None
        self._server = aio.server(
            handlers=[_Handlers(methods)],
            options=[
                ("grpc.max_receive_message_length", listening.max_message_bytes),
                ("grpc.max_send_message_length", listening.max_message_bytes),
                # Otherwise a second server would share the port unnoticed.
                ("grpc.so_reuseport", int(listening.shared)),
                ("grpc.max_concurrent_streams", listening.max_concurrent_streams),
                ("grpc.max_allowed_incoming_connections", listening.max_connections),
            ],
        )

    async def start(self) -> int:
        """Opens the port and serves; returns the port. Raises StartError when it cannot be had."""
        host, port = self._listening.host, self._listening.port
        if not self._listening.shared:
            # Asked first by ourselves: grpcio prints a report of its own and does not say why.
            ensure_free(host, port)
        bound = self._bind(address_in_words(host, port))
        await self._server.start()
        return bound

    def answer_http(self, application: HttpApplication) -> None:
        """Refuses: grpcio speaks gRPC alone. Raises StartError."""
        raise StartError(
            f"gRPC and HTTP on one port, {self._listening.port}, need the engine envoy; give HTTP another with "
            "--http-port, or leave it out with --no-http."
        )

    async def send_away(self) -> None:
        """Nothing: grpcio asks callers to go when it closes its port, and not before."""

    async def stop(self, grace: float) -> None:
        """Closes the port, and gives calls `grace` seconds, and a moment, before it cuts them."""
        if self._watching is not None:
            self._watching.cancel()
        # Whoever came last is just being refused: cut off, they would not know that asking another is safe.
        await self._server.stop(max(grace, LAST_WORDS_SECONDS))

    def _bind(self, address: str) -> int:
        if self._listening.tls is None:
            return self._server.add_insecure_port(address)
        certificates = GrpcioCertificates(self._listening.tls)
        self._watching = asyncio.create_task(certificates.watch.run())
        return self._server.add_secure_port(address, certificates.credentials())


class _Handlers(grpc.GenericRpcHandler):
    """Finds a method's handler by its path."""

    def __init__(self, methods: MethodTable) -> None:
        self._handlers = {path: _adapt(method) for path, method in methods.items()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        return self._handlers.get(handler_call_details.method)


def _adapt(method: Method) -> grpc.RpcMethodHandler[Any, Any]:
    # No serialisers: bytes go through, and the boundary in calls.py parses and serialises.
    if isinstance(method, UnaryMethod):
        return grpc.unary_unary_rpc_method_handler(_unary(method))
    return grpc.stream_stream_rpc_method_handler(_stream(method))


def _unary(method: UnaryMethod) -> Callable[[bytes, ServicerContext], Awaitable[bytes]]:
    async def behaviour(payload: bytes, servicer_context: ServicerContext) -> bytes:
        context = GrpcioContext(servicer_context)
        context.send_request_id_back()
        try:
            return await answer_unary(method, payload, context)
        except CallError as failure:
            await _end(servicer_context, failure)

    return behaviour


def _stream(method: StreamMethod) -> Callable[[AsyncIterator[bytes], ServicerContext], Awaitable[None]]:
    async def behaviour(payloads: AsyncIterator[bytes], servicer_context: ServicerContext) -> None:
        context = GrpcioContext(servicer_context)
        context.send_request_id_back()
        try:
            async with aclosing(answer_stream(method, payloads, context)) as responses:
                async for response in responses:
                    await servicer_context.write(response)
        except CallError as failure:
            await _end(servicer_context, failure)

    return behaviour


async def _end(servicer_context: ServicerContext, failure: CallError) -> NoReturn:
    trailing = (*servicer_context.trailing_metadata(), *failure.trailing_metadata)
    await servicer_context.abort(_CODES[failure.code], failure.message, trailing)


class GrpcioContext:
    """A call as its handler sees it; everything is looked up only when asked for."""

    __slots__ = ("_context",)

    def __init__(self, context: ServicerContext) -> None:
        self._context = context

    @property
    def deadline(self) -> float | None:
        """Seconds of `time.monotonic()`, or None."""
        remaining: float | None = self._context.time_remaining()
        return None if remaining is None else time.monotonic() + remaining

    @property
    def peer(self) -> str:
        """The caller's address."""
        return self._context.peer()

    @property
    def metadata(self) -> Mapping[str, str | bytes]:
        """The call's metadata."""
        return dict(self._context.invocation_metadata() or ())

    @property
    def certificate_name(self) -> str | None:
        """Whom the caller's certificate names: its first URI or DNS name, else its subject."""
        known = self._context.auth_context()
        names = (name for key in _CERTIFICATE_NAMES for name in known.get(key, ()))
        first = next(names, None)
        return None if first is None else first.decode("utf-8", "replace")

    def send_request_id_back(self) -> None:
        """What the caller calls its call goes back with the answer, whatever that is."""
        for key, value in self._context.invocation_metadata() or ():
            if key == REQUEST_ID_KEY and isinstance(value, str) and is_request_id(value):
                self._context.set_trailing_metadata(((key, value),))
                return

    def add_trailing_metadata(self, key: str, value: str) -> None:
        """Adds a pair to the trailing metadata."""
        self._context.set_trailing_metadata((*self._context.trailing_metadata(), (key, value)))
