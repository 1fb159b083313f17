"""How a request ends that no route answers: one sentence as JSON, and nothing of the server's inside."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from conveyor_server.calls import known_error
from conveyor_server.shortening import shortened

_WORDS = {404: "there is nothing at {path}", 405: "{path} does not take {method}"}


def failure(status: int, sentence: str, **headers: str) -> JSONResponse:
    """An answer that says what was wrong."""
    return JSONResponse({"error": sentence}, status, headers)


async def on_http_error(request: Request, error: Exception) -> JSONResponse:
    """What the router answers for a path or a method that nobody has."""
    assert isinstance(error, HTTPException)
    words = _WORDS[error.status_code].format(path=shortened(request.url.path), method=shortened(request.method))
    return failure(error.status_code, words, **(error.headers or {}))


class Failures:
    """Around everything: an error that nobody foresaw goes to the log, and only its number to the caller."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 500, unless an answer has begun already."""
        begun = False

        async def note(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, note)
        except Exception as error:
            sentence = str(known_error(error))
            if not begun:
                await failure(500, sentence)(scope, receive, send)
