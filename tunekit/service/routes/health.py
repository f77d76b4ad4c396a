"""Routes for those who run the service: alive, ready, metrics."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from tunekit.errors import StorageUnreachable
from tunekit.service.access.roles import Role
from tunekit.service.endpoints import endpoint

router = APIRouter(tags=["operations"])

READY_S = 5.0
"""Seconds in which the database has to answer."""


@endpoint(router, "GET", "/healthz", role=Role.ANYONE, status=204)
async def get_health() -> Response:
    """Say that the process is alive, whatever its database does."""
    return Response(status_code=204)


@endpoint(router, "GET", "/readyz", role=Role.ANYONE, status=204)
async def get_readiness(request: Request) -> Response:
    """Say whether the service can answer requests: its database does, and it is not stopping."""
    service = request.app.state.service
    if service.is_stopping:
        raise StorageUnreachable("this replica is stopping; use another one.")
    try:
        await asyncio.wait_for(run_in_threadpool(service.storage.ping), READY_S)
    except TimeoutError:
        raise StorageUnreachable(f"the database did not answer in {READY_S:g} s.") from None
    return Response(status_code=204)


@endpoint(router, "GET", "/metrics", role=Role.OPERATOR)
async def get_metrics(request: Request) -> Response:
    """Return the metrics of this process in Prometheus' text format."""
    content = await run_in_threadpool(request.app.state.service.metrics.exposition)
    return Response(content, media_type="text/plain; version=0.0.4; charset=utf-8")
