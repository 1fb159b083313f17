"""The Python client of a Conveyor server: grpcio and protobuf only.

with Client("localhost:8001") as client:
    print(client.classify("photo.jpg", model="mnist").label)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from conveyor_client.errors import (
    AccessDenied,
    ConveyorClientError,
    DeadlineExceeded,
    InsecureConnection,
    InvalidImage,
    ModelNotFound,
    Overloaded,
    ServerError,
    ServerUnavailable,
)
from conveyor_client.version import __version__

if TYPE_CHECKING:
    from conveyor_client.admin import AdminClient
    from conveyor_client.async_client import AsyncClient
    from conveyor_client.call_metadata import traced
    from conveyor_client.client import Client
    from conveyor_client.connection import Connection
    from conveyor_client.results import Classification, Model, ModelStatus, Prediction, Timings

__all__ = [
    "AccessDenied",
    "AdminClient",
    "AsyncClient",
    "Classification",
    "Client",
    "Connection",
    "ConveyorClientError",
    "DeadlineExceeded",
    "InsecureConnection",
    "InvalidImage",
    "Model",
    "ModelNotFound",
    "ModelStatus",
    "Overloaded",
    "Prediction",
    "ServerError",
    "ServerUnavailable",
    "Timings",
    "__version__",
    "traced",
]

# Loaded when first asked for: gRPC takes a tenth of a second to import, which `conveyor --help` need not wait for.
_LAZY = {
    "AdminClient": "conveyor_client.admin",
    "AsyncClient": "conveyor_client.async_client",
    "Client": "conveyor_client.client",
    "Connection": "conveyor_client.connection",
    "Classification": "conveyor_client.results",
    "Model": "conveyor_client.results",
    "ModelStatus": "conveyor_client.results",
    "Prediction": "conveyor_client.results",
    "Timings": "conveyor_client.results",
    "traced": "conveyor_client.call_metadata",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
