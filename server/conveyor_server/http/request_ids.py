"""What a caller calls its request comes back in a header of the answer, whatever the answer is."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from conveyor_server.calls import REQUEST_ID_KEY, is_request_id

_KEY = REQUEST_ID_KEY.encode()


class RequestIds:
    """Around everything, as calls over gRPC have it in their trailing metadata."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Adds the header where the request had one that can be taken over."""
        given = dict(scope.get("headers", ())).get(_KEY)
        if given is None or not is_request_id(given.decode("latin-1")):
            await self._app(scope, receive, send)
            return

        async def with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (_KEY, given)]}
            await send(message)

        await self._app(scope, receive, with_id)
