"""A bare gRPC server that reads nothing and answers every call with the same bytes: the yardstick of `make bench`.

What it costs is what Python's gRPC costs; whatever a real server does comes on top. Run as a process of its own:
python -m conveyor_bench.echo {sync|asyncio} ANSWER_IN_HEX
"""

from __future__ import annotations  # generic only in the type stubs

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc

SYNC_THREADS = 8


class _AnswerAll(grpc.GenericRpcHandler):
    def __init__(self, handler: grpc.RpcMethodHandler[bytes, bytes]) -> None:
        self._handler = handler

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        del handler_call_details  # every method has the same answer
        return self._handler


def _announce(port: int) -> None:
    sys.stderr.write(f"ready address=127.0.0.1:{port}\n")
    sys.stderr.flush()


def serve_sync(answer: bytes) -> None:
    """grpcio's threaded server."""
    server = grpc.server(ThreadPoolExecutor(SYNC_THREADS))
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(lambda request, context: answer)
    server.add_generic_rpc_handlers((_AnswerAll(handler),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    _announce(port)
    server.wait_for_termination()


async def serve_asyncio(answer: bytes) -> None:
    """grpcio's asyncio server, on the loop that runs it."""

    async def handle(request: bytes, context: object) -> bytes:
        return answer

    server = grpc.aio.server()
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(handle)
    server.add_generic_rpc_handlers((_AnswerAll(handler),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    _announce(port)
    await server.wait_for_termination()


def main() -> None:
    """Serves until it is killed."""
    kind, answer = sys.argv[1], bytes.fromhex(sys.argv[2])
    if kind == "sync":
        serve_sync(answer)
        return
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve_asyncio(answer))
    else:
        uvloop.run(serve_asyncio(answer))


if __name__ == "__main__":
    main()
