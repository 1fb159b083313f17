"""The operator's client: which version of a model answers, which one is on trial, and how it does."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

import grpc

from conveyor.v1 import admin_pb2, admin_pb2_grpc
from conveyor_client import channel as channels
from conveyor_client.call_metadata import call_metadata
from conveyor_client.connection import Connection
from conveyor_client.errors import ServerError
from conveyor_client.statuses import call_failure, status_code


class AdminClient:
    """A connection to a server's AdminService. Use as a context manager, or close().

    Answers are the wire's own messages: `proto/conveyor/v1/admin.proto` says what each field means. `timeout` is the
    deadline of a call in seconds. Every failure is a ConveyorClientError. Calls are not tried again: a change that
    failed may have been made, and `traffic()` tells.
    """

    def __init__(
        self,
        address: str = channels.DEFAULT_ADDRESS,
        *,
        timeout: float | None = channels.DEFAULT_TIMEOUT,
        connection: Connection | None = None,
    ) -> None:
        target = channels.parse_address(address)
        self.address = target.address
        self.timeout = timeout
        self._connection = connection or Connection()
        credentials = channels.credentials_for(target, self._connection, None)
        options = channels.channel_options(1, self._connection, target)
        if credentials is None:
            self._channel = grpc.insecure_channel(target.address, options)
        else:
            self._channel = grpc.secure_channel(target.address, credentials, options)
        self._stub = admin_pb2_grpc.AdminServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def traffic(self, model: str) -> admin_pb2.Traffic:
        """The model's rule, and how the version on trial does."""
        return self._call(self._stub.GetTraffic, admin_pb2.GetTrafficRequest(model_name=model))

    def set_traffic(self, model: str, rule: admin_pb2.TrafficRule) -> admin_pb2.Traffic:
        """Sets the rule in every worker."""
        return self._call(self._stub.SetTraffic, admin_pb2.SetTrafficRequest(model_name=model, rule=rule))

    def clear_traffic(self, model: str) -> admin_pb2.Traffic:
        """Ends the rule: the newest version answers."""
        return self._call(self._stub.SetTraffic, admin_pb2.SetTrafficRequest(model_name=model))

    def promote(self, model: str, version: str = "") -> admin_pb2.Traffic:
        """Makes the version on trial, or this one, the stable one."""
        return self._call(self._stub.Promote, admin_pb2.PromoteRequest(model_name=model, model_version=version))

    def roll_back(self, model: str, reason: str = "") -> admin_pb2.Traffic:
        """Ends the trial, or undoes the last promotion."""
        return self._call(self._stub.RollBack, admin_pb2.RollBackRequest(model_name=model, reason=reason))

    def _call(self, method: Callable[..., admin_pb2.Traffic], request: object) -> admin_pb2.Traffic:
        try:
            return method(request, timeout=self.timeout, metadata=call_metadata(self._connection))
        except grpc.RpcError as error:
            failure = call_failure(error, self.address)
            if status_code(error) is grpc.StatusCode.INVALID_ARGUMENT:
                # No image is to blame here.
                failure = ServerError(str(failure))
            raise failure from error
