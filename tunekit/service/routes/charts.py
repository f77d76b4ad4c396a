"""Routes that summarise a study for charts, bounded whatever its size."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from tunekit.service.access.roles import Role
from tunekit.service.charts import messages as m
from tunekit.service.charts.charts import Charts
from tunekit.service.charts.queries import ChartQuery
from tunekit.service.endpoints import endpoint
from tunekit.service.routes.parts import InProject

router = APIRouter(prefix="/projects/{project}/studies/{study_id}/charts", tags=["charts"])

MAX_SHARES = 60
"""Parameters with a share in one branch."""

Known = Annotated[str | None, Header(alias="If-None-Match", max_length=400)]
Metric = Annotated[
    str, Query(max_length=200, description="Metric to show; by default the first objective.")
]
Paths = Annotated[
    list[str], Query(max_length=60, description="Parameters; by default the most important ones.")
]


@endpoint(router, "GET", "/history", role=Role.VIEWER, answer=m.HistoryChart)
async def chart_history(
    request: Request,
    storage: InProject,
    study_id: int,
    known: Known = None,
    metric: Metric = "",
    points: Annotated[int, Query(ge=1, le=2000)] = 2000,
) -> Response:
    """Return the results of a study by trial number, with all improvements."""
    query = ChartQuery(study_id, 0, "history", metric, points)
    return await _reply(request, storage, query, known)


@endpoint(router, "GET", "/curves", role=Role.VIEWER, answer=m.CurvesChart)
async def chart_curves(
    request: Request,
    storage: InProject,
    study_id: int,
    known: Known = None,
    metric: Metric = "",
    number: Annotated[list[int], Query(max_length=20, description="Trials to show.")] = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Return quantiles of the trials' reports over 64 steps, and up to 20 single curves."""
    query = ChartQuery(study_id, 0, "curves", metric, 20, numbers=tuple(number))
    return await _reply(request, storage, query, known)


@endpoint(router, "GET", "/importance", role=Role.VIEWER, answer=m.ImportanceChart)
async def chart_importance(
    request: Request,
    storage: InProject,
    study_id: int,
    known: Known = None,
    quantile: Annotated[float, Query(gt=0, lt=1, description="Share of good trials.")] = 0.25,
) -> Response:
    """Return how much each parameter mattered, over all trials and in each branch."""
    query = ChartQuery(study_id, 0, "importance", most=MAX_SHARES, quantile=quantile)
    return await _reply(request, storage, query, known)


@endpoint(router, "GET", "/front", role=Role.VIEWER, answer=m.FrontChart)
async def chart_front(
    request: Request,
    storage: InProject,
    study_id: int,
    known: Known = None,
    points: Annotated[int, Query(ge=1, le=2000)] = 2000,
) -> Response:
    """Return the Pareto front of a study beside its other results."""
    return await _reply(request, storage, ChartQuery(study_id, 0, "front", "", points), known)


@endpoint(router, "GET", "/tree", role=Role.VIEWER, answer=m.TreeChart)
async def chart_tree(
    request: Request,
    storage: InProject,
    study_id: int,
    known: Known = None,
    metric: Metric = "",
    nodes: Annotated[int, Query(ge=1, le=500)] = 150,
) -> Response:
    """Return the branches of the space with the trials and results of each."""
    return await _reply(request, storage, ChartQuery(study_id, 0, "tree", metric, nodes), known)


@endpoint(router, "GET", "/stops", role=Role.VIEWER, answer=m.StopsChart)
async def chart_stops(
    request: Request,
    storage: InProject,
    study_id: int,
    known: Known = None,
    verdicts: Annotated[int, Query(ge=1, le=500)] = 200,
) -> Response:
    """Return the audit of early stopping and its newest verdicts."""
    return await _reply(request, storage, ChartQuery(study_id, 0, "stops", "", verdicts), known)


@endpoint(router, "GET", "/slices", role=Role.VIEWER, answer=m.PointsChart)
async def chart_slices(
    request: Request,
    storage: InProject,
    study_id: int,
    known: Known = None,
    metric: Metric = "",
    path: Paths = [],  # noqa: B006
    points: Annotated[int, Query(ge=1, le=2000)] = 1000,
) -> Response:
    """Return results beside the values of up to 12 parameters."""
    query = ChartQuery(study_id, 0, "slices", metric, points, paths=tuple(path))
    return await _reply(request, storage, query, known)


@endpoint(router, "GET", "/parallel", role=Role.VIEWER, answer=m.PointsChart)
async def chart_parallel(
    request: Request,
    storage: InProject,
    study_id: int,
    known: Known = None,
    metric: Metric = "",
    path: Paths = [],  # noqa: B006
    lines: Annotated[int, Query(ge=1, le=2000)] = 2000,
) -> Response:
    """Return lines for parallel coordinates: all good trials and a share of the others."""
    query = ChartQuery(study_id, 0, "parallel", metric, lines, paths=tuple(path))
    return await _reply(request, storage, query, known)


async def _reply(
    request: Request, storage: InProject, query: ChartQuery, known: str | None
) -> Response:
    await run_in_threadpool(storage.check_study, query.study_id)
    charts: Charts = request.app.state.service.charts
    tag, text = await charts.chart(query, known)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if text is None:
        return Response(status_code=304, headers=headers)
    return Response(text, headers=headers, media_type="application/json")
