"""Routes behind the doors that gRPC's methods are behind. One that answers through a method has its door already."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from conveyor_server.doors.doors import Doors
from conveyor_server.engines import CERTIFICATE_NAME
from conveyor_server.engines.envoy.metadata import decode_metadata, name_of_peer
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.groups import Group
from conveyor_server.http.failures import failure

STATUSES: Final = {ErrorKind.UNAUTHENTICATED: 401, ErrorKind.FORBIDDEN: 403, ErrorKind.TOO_OFTEN: 429}


def behind(doors: Doors, group: Group) -> Middleware:
    """For a route's `middleware`: only who may enter the group reaches it."""
    return Middleware(_Door, doors=doors, group=group)


class _Door:
    def __init__(self, app: ASGIApp, doors: Doors, group: Group) -> None:
        self._app = app
        self._doors = doors
        self._group = group

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._doors.admit(self._group, _Knock(scope))
        except ServingError as error:
            headers = {}
            if error.kind is ErrorKind.UNAUTHENTICATED:
                headers["WWW-Authenticate"] = "Bearer"
            if error.retry_after_ms is not None:
                headers["Retry-After"] = str(math.ceil(error.retry_after_ms / 1000))
            await failure(STATUSES[error.kind], str(error), **headers)(scope, receive, send)
            return
        await self._app(scope, receive, send)


class _Knock:
    """A request as the doors see it: a CallContext."""

    deadline: float | None = None

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    @property
    def peer(self) -> str:
        return name_of_peer(self._scope.get("client"))

    @property
    def metadata(self) -> Mapping[str, str | bytes]:
        return decode_metadata(dict(self._scope["headers"]))

    @property
    def certificate_name(self) -> str | None:
        name: str | None = self._scope.get(CERTIFICATE_NAME)
        return name

    def add_trailing_metadata(self, key: str, value: str) -> None:
        """Nobody reads it: the route's own answer has its own headers."""
