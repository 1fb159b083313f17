"""The page that Prometheus scrapes; any worker's answers for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from conveyor_server.errors import ServingError
from conveyor_server.groups import Group
from conveyor_server.http.behind import behind
from conveyor_server.http.rest.statuses import failed
from conveyor_server.http.services import HttpServices
from conveyor_server.metrics.family import Family


def metrics_routes(services: HttpServices) -> list[Route]:
    """`/metrics`, in Prometheus's text format or as OpenMetrics, as the Accept header asks."""

    async def metrics(request: Request) -> Response:
        try:
            families = await services.metrics.collect()
        except ServingError as error:
            return failed(error)
        # Some milliseconds: not in the event loop, where requests would wait for it.
        content, content_type = await asyncio.to_thread(_page, families, request.headers.get("accept", ""))
        return Response(content, headers={"content-type": content_type, "cache-control": "no-store"})

    return [Route("/metrics", metrics, middleware=[behind(services.doors, Group.METRICS)])]


def _page(families: Sequence[Family], accept: str) -> tuple[bytes, str]:
    # Only here: a start need not wait for what the first scrape needs.
    from conveyor_server.metrics.exposition import page

    return page(families, accept)
