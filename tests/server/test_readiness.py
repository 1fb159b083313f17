"""Every way to ask whether a server is ready says what the table of server/README.md says, in each of its states."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path
from typing import TypeVar

import grpc
import pytest
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from conveyor_server.engines.grpcio_engine import GrpcioEngine
from conveyor_server.health import SERVICE, WHOLE_SERVER
from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.providers import CPU
from conveyor_server.server import Server
from conveyor_server.settings import ServerSettings
from conveyor_server.workers.fellows import Fellows
from conveyor_server.workers.link import open_link
from tests.server.http.asking import ask
from tests.server.scripted import in_loop
from tests.server.test_documented_tables import REQUIRED, rows_under
from tests.server.test_load_limits import hanging_file
from tests.server.test_repository import write

HEALTH_RPC = "/grpc.health.v1.Health/Check"
PROTOCOL = "/inference.GRPCInferenceService"
Response = TypeVar("Response", bound=Message)


def write_idle(root: Path) -> None:
    """A model that never serves."""
    write(root, name="idle").write_bytes(b"no model")


@asynccontextmanager
async def in_state(root: Path, state: str, required: tuple[str, ...], others: str) -> AsyncIterator[Server]:
    """A real server with open ports, as a row of the table describes it."""
    write_idle(root)
    names = [*required, *(["other"] if others == "some serve" else [])]
    settings = {"repository": root, "port": 0, "http_port": 0, "cpu_scheduling": "usual", "drain_delay": 60}
    if "explicit" in state:
        settings["model_control_mode"] = "explicit"
    async with AsyncExitStack() as stack:
        fellows = None
        if "workers" in state:
            ours, theirs = socket.socketpair()
            stack.enter_context(closing(theirs))
            link = await open_link(ours)
            stack.callback(link.close)
            fellows = Fellows(link)
        server = Server(
            ServerSettings.model_validate({**settings, "require_model": list(required)}), CPU, GrpcioEngine, fellows
        )
        stack.push_async_callback(server.close)
        await server.start()
        if state == "loading":
            stack.enter_context(hanging_file(root, required[0]))
            stack.push_async_callback(cancel, asyncio.create_task(server.load()))
            await changed(server, lambda: server.repository.is_known)
        else:
            for name in names:
                write(root, name=name)
            await server.load()
        await server.until_open()
        if "absent" in required:
            await server.repository.unload("absent")
        if state == "draining":
            stack.push_async_callback(cancel, asyncio.create_task(server.drain()))
            await asyncio.sleep(0)
        yield server


async def changed(server: Server, condition: Callable[[], bool]) -> None:
    """Returns once it holds, which is looked at after every change of what is served."""
    note, happened = server.repository.changed, asyncio.Event()
    assert note is not None

    def look() -> None:
        note()
        if condition():
            happened.set()

    server.repository.changed = look
    await happened.wait()


async def cancel(task: "asyncio.Task[object]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


class Asker:
    """Asks over gRPC and HTTP; every answer as a name of the table."""

    def __init__(self, server: Server, channel: grpc.aio.Channel) -> None:
        self._http = server.http_address
        self._channel = channel

    async def status(self, path: str) -> int:
        return (await asyncio.to_thread(ask, self._http, path)).status

    async def whole(self) -> set[str]:
        """What is said of the server as a whole."""
        ready = await self._rpc(f"{PROTOCOL}/ServerReady", pb.ServerReadyRequest(), pb.ServerReadyResponse)
        pages = [await self.status("/v2/health/ready"), await self.status("/healthz/ready")]
        assert set(pages) <= {200, 503}
        return {
            *[await self.health(name) for name in WHOLE_SERVER],
            *[in_words(is_ready=each) for each in (ready.ready, *(page == 200 for page in pages))],
        }

    async def model(self, name: str) -> set[str]:
        """What is said of one model."""
        ready = await self._rpc(f"{PROTOCOL}/ModelReady", pb.ModelReadyRequest(name=name), pb.ModelReadyResponse)
        page = await self.status(f"/v2/models/{name}/ready")
        assert page in (200, 503)
        return {await self.health(name), in_words(is_ready=ready.ready), in_words(is_ready=page == 200)}

    async def is_live(self) -> bool:
        """Whether everybody who asks only that is told so."""
        live = await self._rpc(f"{PROTOCOL}/ServerLive", pb.ServerLiveRequest(), pb.ServerLiveResponse)
        pages = {await self.status(path) for path in ("/healthz", "/healthz/live", "/v2/health/live")}
        return live.live and pages == {200} and await self.health(SERVICE) == "SERVING"

    async def health(self, service: str) -> str:
        """The health RPC's answer."""
        request, answer = health_pb2.HealthCheckRequest(service=service), health_pb2.HealthCheckResponse
        return answer.ServingStatus.Name((await self._rpc(HEALTH_RPC, request, answer)).status)

    async def _rpc(self, path: str, request: Message, answer: type[Response]) -> Response:
        call = self._channel.unary_unary(
            path, request_serializer=type(request).SerializeToString, response_deserializer=answer.FromString
        )
        response: Response = await call(request, timeout=20)
        return response


def in_words(*, is_ready: bool) -> str:
    return "SERVING" if is_ready else "NOT_SERVING"


@pytest.mark.parametrize("row", list(rows_under("Live and ready")), ids=" / ".join)
def test_everybody_who_asks_is_told_what_the_table_says(row: list[str], tmp_path: Path) -> None:
    state, required, others, whole, serving, idle = row

    @in_loop
    async def check() -> None:
        async with (
            in_state(tmp_path, state, REQUIRED[required], others) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            asker = Asker(server, channel)
            assert await asker.is_live()
            assert await asker.whole() == {whole}
            loaded = server.repository.serving()
            said = [await asker.model(name) for name in loaded]
            assert (set().union(*said) or {"-"}) == {serving}
            for name in ("idle", *(name for name in REQUIRED[required] if name not in loaded)):
                assert await asker.model(name) == {idle}

    check()
