"""Health over HTTP, for load balancers that do not ask over gRPC: the same answers as the gRPC service."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from conveyor_server.http.services import HttpServices


def health_routes(services: HttpServices) -> list[Route]:
    """`/healthz` and `/healthz/live` answer while the process works, `/healthz/ready` is 503 with the reason else."""

    async def live(request: Request) -> JSONResponse:
        return JSONResponse({"live": True})

    async def ready(request: Request) -> JSONResponse:
        reason = services.health.why_not_ready()
        if reason is None:
            return JSONResponse({"ready": True})
        return JSONResponse({"ready": False, "reason": reason}, 503)

    return [Route("/healthz", live), Route("/healthz/live", live), Route("/healthz/ready", ready)]
