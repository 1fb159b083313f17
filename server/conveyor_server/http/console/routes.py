"""The console's routes: the page at `/`, its files, and what only the page asks for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from conveyor_server.calls import CallError
from conveyor_server.entry import Entry
from conveyor_server.errors import ServingError
from conveyor_server.groups import Group
from conveyor_server.http.behind import behind
from conveyor_server.http.console.access import check_request, why_off
from conveyor_server.http.console.explain import Explainer
from conveyor_server.http.console.files import INDEX, StaticFile, read_static_files
from conveyor_server.http.console.look import look
from conveyor_server.http.console.pictures import picture_names, read_picture
from conveyor_server.http.console.protection import SECURITY_HEADERS
from conveyor_server.http.console.pulse import pulse_of
from conveyor_server.http.failures import failure
from conveyor_server.http.rest.exchange import Exchange
from conveyor_server.http.rest.statuses import HttpError, failed
from conveyor_server.http.services import HttpServices

Answer = Callable[[Request, Exchange], Awaitable[Response]]


def console_routes(services: HttpServices) -> list[Route]:
    """The page and what belongs to it; where the console is off, one sentence in its place."""
    off = why_off(services)
    if off is not None:
        return [Route("/", _nothing(off))]
    console = _Console(services)
    inference, metrics = ([behind(services.doors, group)] for group in (Group.INFERENCE, Group.METRICS))
    return [
        Route("/", console.page),
        Route("/console/files/{name}", console.file),
        # It knocks at Classify's door itself.
        Route("/console/look", console.answering(console.look), methods=["POST"]),
        Route("/console/explain", console.answering(console.explain), methods=["POST"], middleware=inference),
        Route("/console/pictures", console.answering(console.pictures), middleware=inference),
        Route("/console/pictures/{name}", console.answering(console.picture), middleware=inference),
        Route("/console/pulse", console.answering(console.pulse), middleware=metrics),
    ]


class _Console:
    """The handlers, over one server's parts."""

    def __init__(self, services: HttpServices) -> None:
        self._services = services
        self._files = read_static_files()
        self._explainer = Explainer(services.repository)

    async def page(self, request: Request) -> Response:
        return _sent(request, self._files[INDEX])

    async def file(self, request: Request) -> Response:
        file = self._files.get(request.path_params["name"])
        return _protected(failure(404, "the console has no such file")) if file is None else _sent(request, file)

    def answering(self, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        """The handler for the page's own requests; what is refused is said in one sentence."""

        async def handle(request: Request) -> Response:
            try:
                check_request(request)
                return _protected(await answer(request, Exchange(request, self._services)))
            except (CallError, ServingError, HttpError) as error:
                return _protected(failed(error))

        return handle

    async def look(self, request: Request, exchange: Exchange) -> Response:
        return JSONResponse(await look(exchange, self._services.repository))

    async def explain(self, request: Request, exchange: Exchange) -> Response:
        return JSONResponse(await self._explainer.explain(exchange))

    async def pictures(self, request: Request, exchange: Exchange) -> Response:
        entry = self._entry(request)
        return JSONResponse({"pictures": picture_names(entry.file.path)})

    async def picture(self, request: Request, exchange: Exchange) -> Response:
        entry = self._entry(request)
        return Response(read_picture(entry.file.path, request.path_params["name"]), media_type="image/png")

    async def pulse(self, request: Request, exchange: Exchange) -> Response:
        families = await self._services.metrics.collect()
        return JSONResponse(pulse_of(families, self._services.health.why_not_ready()))

    def _entry(self, request: Request) -> Entry:
        """The version that a query names. Raises ServingError where there is none."""
        name, version = (request.query_params.get(key, "") for key in ("model", "version"))
        return self._services.repository.entry(name, version)


def _nothing(reason: str) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        return failure(403, reason)

    return handle


def _sent(request: Request, file: StaticFile) -> Response:
    headers = {"ETag": file.tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == file.tag:
        return _protected(Response(status_code=304, headers=headers))
    return _protected(Response(file.content, media_type=file.content_type, headers=headers))


def _protected(response: Response) -> Response:
    response.headers.update(SECURITY_HEADERS)
    if "cache-control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    return response
