"""`/v2/systemsharedmemory`, and `/v2/cudasharedmemory`, which this server does not do and says so."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from conveyor_server.http.rest.bodies import RegionBody
from conveyor_server.http.rest.exchange import Exchange, Procedure
from conveyor_server.http.rest.messages import json_of
from conveyor_server.http.rest.operation import Operation, json_content, json_response
from conveyor_server.http.rest.schemas import list_of, record, schema_of
from conveyor_server.inference import SERVICE
from conveyor_server.inference import inference_pb2 as pb

STATUS: Final = Procedure(path=f"/{SERVICE}/SystemSharedMemoryStatus", answer=pb.SystemSharedMemoryStatusResponse)
REGISTER: Final = Procedure(path=f"/{SERVICE}/SystemSharedMemoryRegister", answer=pb.SystemSharedMemoryRegisterResponse)
UNREGISTER: Final = Procedure(
    path=f"/{SERVICE}/SystemSharedMemoryUnregister", answer=pb.SystemSharedMemoryUnregisterResponse
)
CUDA_STATUS: Final = Procedure(path=f"/{SERVICE}/CudaSharedMemoryStatus", answer=pb.CudaSharedMemoryStatusResponse)

_SYSTEM: Final = "/v2/systemsharedmemory"
_CUDA: Final = "/v2/cudasharedmemory"
# A region's name may hold slashes.
_REGION: Final = "/region/{region_name:path}"


async def status(exchange: Exchange) -> Response:
    """The region that the path names, or all."""
    answer = await exchange.ask(STATUS, pb.SystemSharedMemoryStatusRequest(name=_region(exchange)))
    return json_response([json_of(answer.regions[name]) for name in sorted(answer.regions)])


async def register(exchange: Exchange) -> Response:
    """Makes a region known."""
    given = await exchange.json(RegionBody)
    request = pb.SystemSharedMemoryRegisterRequest(
        name=_region(exchange), key=given.key, offset=given.offset, byte_size=given.byte_size
    )
    return json_response(json_of(await exchange.ask(REGISTER, request)))


async def unregister(exchange: Exchange) -> Response:
    """Forgets the region that the path names, or all."""
    request = pb.SystemSharedMemoryUnregisterRequest(name=_region(exchange))
    return json_response(json_of(await exchange.ask(UNREGISTER, request)))


async def cuda(exchange: Exchange) -> Response:
    """Always an error: whatever is asked, the answer is the same as to the question for the regions."""
    return json_response(json_of(await exchange.ask(CUDA_STATUS, pb.CudaSharedMemoryStatusRequest())))


def _region(exchange: Exchange) -> str:
    return exchange.path.get("region_name", "")


def memory_operations() -> list[Operation]:
    """Shared memory of the system."""
    regions = json_content(list_of(schema_of(pb.SystemSharedMemoryStatusResponse.RegionStatus)))
    nothing = json_content(record())
    return [
        Operation(
            verb="GET",
            path=f"{_SYSTEM}/status",
            name="memory_status",
            summary="Every registered region",
            procedure=STATUS,
            handler=status,
            answer=regions,
        ),
        Operation(
            verb="GET",
            path=f"{_SYSTEM}{_REGION}/status",
            name="memory_region_status",
            summary="One registered region",
            procedure=STATUS,
            handler=status,
            answer=regions,
        ),
        Operation(
            verb="POST",
            path=f"{_SYSTEM}{_REGION}/register",
            name="register_memory",
            summary="Makes a region of shared memory known",
            procedure=REGISTER,
            handler=register,
            answer=nothing,
            body=RegionBody,
        ),
        Operation(
            verb="POST",
            path=f"{_SYSTEM}{_REGION}/unregister",
            name="unregister_memory",
            summary="Forgets a region",
            procedure=UNREGISTER,
            handler=unregister,
            answer=nothing,
        ),
        Operation(
            verb="POST",
            path=f"{_SYSTEM}/unregister",
            name="unregister_all_memory",
            summary="Forgets every region",
            procedure=UNREGISTER,
            handler=unregister,
            answer=nothing,
        ),
        *_cuda_operations(),
    ]


def _cuda_operations() -> list[Operation]:
    operations = []
    for verb, path, name in (
        ("GET", "/status", "cuda_memory_status"),
        ("GET", f"{_REGION}/status", "cuda_memory_region_status"),
        ("POST", f"{_REGION}/register", "register_cuda_memory"),
        ("POST", f"{_REGION}/unregister", "unregister_cuda_memory"),
        ("POST", "/unregister", "unregister_all_cuda_memory"),
    ):
        operations.append(
            Operation(
                verb="GET" if verb == "GET" else "POST",
                path=f"{_CUDA}{path}",
                name=name,
                summary="Not served",
                procedure=CUDA_STATUS,
                handler=cuda,
                answer=json_content(record()),
            )
        )
    return operations
