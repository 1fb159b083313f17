"""Every RPC that the server has, from the descriptions of its services."""

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.descriptor import Descriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from conveyor.v1 import admin_pb2, classifier_pb2
from conveyor_server.inference import inference_pb2

FILES = (classifier_pb2, admin_pb2, inference_pb2, health_pb2, reflection_pb2)
# Answers for as long as its caller stays.
WATCH = "/grpc.health.v1.Health/Watch"


@dataclass(frozen=True, kw_only=True)
class Rpc:
    """One method. `path` is "/package.Service/Method"."""

    path: str
    request: Descriptor
    is_stream: bool

    @property
    def request_class(self) -> type[Message]:
        """What its request is parsed with."""
        return GetMessageClass(self.request)


def all_rpcs() -> Sequence[Rpc]:
    """In a fixed order."""
    services: list[ServiceDescriptor] = [
        service for file in FILES for _, service in sorted(file.DESCRIPTOR.services_by_name.items())
    ]
    return [
        Rpc(
            path=f"/{service.full_name}/{method.name}",
            request=method.input_type,
            is_stream=method.client_streaming or method.server_streaming,
        )
        for service in services
        for method in service.methods
    ]
