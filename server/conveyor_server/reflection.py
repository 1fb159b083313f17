"""gRPC server reflection, v1 and v1alpha, over pools of descriptors: grpcurl and the like need no .proto files.

The two versions differ only in the name of their package; on the wire they are the same.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import suppress

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from grpc_reflection.v1alpha import reflection_pb2 as pb

from conveyor_server.calls import CallContext, MethodTable, StreamMethod
from conveyor_server.groups import Group
from conveyor_server.shortening import MAX_SENTENCE, shortened
from conveyor_server.statuses import CONVEYOR_CODES, Code

SERVICES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


class Reflection:
    """The handler; `services` are the full names that it lists.

    What is described in protobuf's default pool is found first, then what is in the other `pools`.
    """

    def __init__(self, services: Sequence[str], pools: Sequence[descriptor_pool.DescriptorPool] = ()) -> None:
        self._services = sorted([*services, *SERVICES])
        self._pools = (descriptor_pool.Default(), *pools)

    def methods(self) -> MethodTable:
        """The handler by the full paths of its methods."""
        method = StreamMethod(
            handler=self.info, request_type=pb.ServerReflectionRequest, codes=CONVEYOR_CODES, group=Group.INFERENCE
        )
        return {f"/{service}/ServerReflectionInfo": method for service in SERVICES}

    async def info(
        self, requests: AsyncIterator[pb.ServerReflectionRequest], context: CallContext
    ) -> AsyncGenerator[pb.ServerReflectionResponse, None]:
        """Answers each question in turn."""
        async for request in requests:
            response = pb.ServerReflectionResponse(valid_host=request.host, original_request=request)
            try:
                self._answer(request, response)
            except KeyError as error:
                response.error_response.error_code = Code.NOT_FOUND
                response.error_response.error_message = shortened(str(error.args[0]), MAX_SENTENCE)
            yield response

    def _answer(self, request: pb.ServerReflectionRequest, response: pb.ServerReflectionResponse) -> None:
        kind = request.WhichOneof("message_request")
        if kind == "list_services":
            response.list_services_response.service.extend(pb.ServiceResponse(name=name) for name in self._services)
        elif kind == "file_by_filename":
            self._add_file(response, self._find(lambda pool: pool.FindFileByName(request.file_by_filename)))
        elif kind == "file_containing_symbol":
            symbol = request.file_containing_symbol
            self._add_file(response, self._find(lambda pool: pool.FindFileContainingSymbol(symbol)))
        else:
            # No message of ours has extensions.
            raise KeyError(f"{kind or 'an empty question'} is not answered here")

    def _find(self, find: Callable[[descriptor_pool.DescriptorPool], FileDescriptor]) -> FileDescriptor:
        """What the first pool that has it answers. Raises KeyError."""
        for pool in self._pools[:-1]:
            with suppress(KeyError):
                return find(pool)
        return find(self._pools[-1])

    def _add_file(self, response: pb.ServerReflectionResponse, file: FileDescriptor) -> None:
        """Adds the file and all that it imports, each once."""
        files: dict[str, bytes] = {}
        pending = [file]
        while pending:
            current = pending.pop()
            if current.name not in files:
                files[current.name] = current.serialized_pb
                pending.extend(current.dependencies)
        response.file_descriptor_response.file_descriptor_proto.extend(files.values())
