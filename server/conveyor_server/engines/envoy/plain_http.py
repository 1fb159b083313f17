"""HTTP requests that are not gRPC, on gRPC's port: an ASGI application is answered as any ASGI server would."""

from __future__ import annotations

import asyncio
import json
from typing import Final

from conveyor_server.engines import CERTIFICATE_NAME, HttpApplication
from conveyor_server.engines.envoy.call import DISCONNECT, MAX_INTERVAL, TICK, Event, Receive, Scope, Send
from conveyor_server.engines.envoy.metadata import CERTIFICATE_HEADER, name_of_certificate

_NO_UPGRADE: Final = "this server changes to no other protocol; leave the header Upgrade out"


async def answer(application: HttpApplication, scope: Scope, receive: Receive, send: Send) -> None:
    """One request from its first header to the end of its answer."""
    caller = _Caller(receive, send)
    headers = dict(scope["headers"])
    if b"upgrade" in headers or scope["method"] == "CONNECT":
        # Its body never ends: what follows would be the other protocol.
        await _refuse_upgrade(caller)
        return
    name = name_of_certificate(headers.get(CERTIFICATE_HEADER))
    # `state` is the server's own. A name without TLS cannot be: Envoy takes away what callers write there themselves.
    own = {**scope, "state": {}, **({} if name is None else {CERTIFICATE_NAME: name})}
    await application(own, caller.receive, caller.send)


class _Caller:
    """Envoy's side of a request, with the manners that applications expect of a server."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._is_complete = False

    async def receive(self) -> Event:
        """A part of the body; after the last one it waits until the caller has gone."""
        if self._is_complete:
            await self._until_gone()
            return {"type": DISCONNECT}
        event = await self._next()
        self._is_complete = not event.get("more_body", False)
        return event

    async def send(self, event: Event) -> None:
        """A part of the answer; nothing for a caller who has gone."""
        try:
            await asyncio.shield(asyncio.ensure_future(self._send(event)))
        except OSError:
            return

    async def _until_gone(self) -> None:
        """Envoy answers at once whether the caller is still there, so it is asked less and less often."""
        interval = TICK
        while (await self._next())["type"] != DISCONNECT:
            await asyncio.sleep(interval)
            interval = min(2 * interval, MAX_INTERVAL)

    async def _next(self) -> Event:
        # Shielded: Envoy's side would stumble over a future that was cancelled before it is filled in.
        return await asyncio.shield(asyncio.ensure_future(self._receive()))


async def _refuse_upgrade(caller: _Caller) -> None:
    body = json.dumps({"error": _NO_UPGRADE}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await caller.send({"type": "http.response.start", "status": 400, "headers": headers})
    await caller.send({"type": "http.response.body", "body": body, "more_body": False})
