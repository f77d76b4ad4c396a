"""Routes that summarise a study for charts, bounded whatever its size."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from tunekit.analysis.charts import records as m
from tunekit.analysis.charts.contour_records import ContourChart
from tunekit.analysis.charts.filters import TrialFilter
from tunekit.analysis.charts.knob_records import KnobsChart
from tunekit.analysis.charts.proposer_records import ProposersChart
from tunekit.analysis.charts.study_records import StudySummary, WorkersChart
from tunekit.analysis.charts.time_records import BudgetChart, TimelineChart
from tunekit.analysis.charts.trials import MAX_ROWS, Sort
from tunekit.plots.figure_records import LawChart
from tunekit.service.access.quotas import QuotaBook
from tunekit.service.access.roles import Role
from tunekit.service.charts.charts import Charts
from tunekit.service.charts.queries import ChartQuery
from tunekit.service.endpoints import endpoint
from tunekit.service.routes.parts import InProject

router = APIRouter(prefix="/projects/{project}/studies/{study_id}/charts", tags=["charts"])

NAMING = frozenset({"health", "law"})
"""Charts that name their study, as its project does."""
MAX_SHARES = 60
"""Parameters with a share in one branch."""

Asked: TypeAlias = Callable[..., Awaitable[ChartQuery]]
Known = Annotated[str | None, Header(alias="If-None-Match", max_length=400)]
Metric = Annotated[
    str, Query(max_length=200, description="Metric to show; by default the first objective.")
]
Numbers = Annotated[list[int], Query(max_length=20, description="Trials to show.")]
Paths = Annotated[
    list[str], Query(max_length=60, description="Parameters; by default the most important ones.")
]
Pair = Annotated[
    list[str],
    Query(max_length=2, description="Two parameters; by default the most important ones."),
]
Quantile = Annotated[float, Query(gt=0, lt=1, description="Share of good trials.")]
Most = Annotated[int, Query(ge=1, le=2000)]
MostRows = Annotated[int, Query(ge=1, le=500)]
Sorted = Annotated[Sort, Query(description="What to sort by; trials without it come last.")]
Branch = Annotated[
    str, Query(max_length=400, description="Trials that made a choice, such as `model=svm`.")
]
States = Annotated[
    str, Query(max_length=200, description="States of the trials, separated by commas.")
]
Bound = Annotated[
    float | None, Query(allow_inf_nan=False, description="Bound of the shown metric.")
]


async def asked_trials(
    branch: Branch = "", state: States = "", low: Bound = None, high: Bound = None
) -> TrialFilter:
    """Return which trials the chart is about."""
    return TrialFilter.parse(branch, state, low=low, high=high)


CHARTS: dict[str, tuple[Asked, type[m.Chart]]] = {}
"""What reads the query of each chart, and what it answers, by its path."""

Chosen = Annotated[TrialFilter, Depends(asked_trials)]


def chart(path: str, answer: type[m.Chart]) -> Callable[[Asked], Asked]:
    """Return a decorator that serves the chart for which a function reads the query."""

    def register(asked: Asked) -> Asked:
        async def handler(
            request: Request,
            storage: InProject,
            chosen: Chosen,
            query: ChartQuery = Depends(asked),  # noqa: B008 - how FastAPI takes a local function
            known: Known = None,
        ) -> Response:
            await run_in_threadpool(storage.check_study, query.study_id)
            if query.name in NAMING:
                record = await run_in_threadpool(storage.record, query.study_id)
                query = replace(query, study=record.spec.name)
            charts: Charts = request.app.state.service.charts
            return chart_answer(*await charts.chart(replace(query, trials=chosen), known))

        handler.__name__, handler.__doc__ = asked.__name__, asked.__doc__
        endpoint(router, "GET", path, role=Role.VIEWER, answer=answer)(handler)
        CHARTS[path] = (asked, answer)
        return asked

    return register


def chart_answer(tag: str, text: str | None) -> Response:
    """Return the response with a chart, or 304 if it has not changed."""
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if text is None:
        return Response(status_code=304, headers=headers)
    return Response(text, headers=headers, media_type="application/json")


@chart("/summary", StudySummary)
async def chart_summary(study_id: int) -> ChartQuery:
    """Return counts, budget, best result with its noise, trend and last event of a study."""
    return ChartQuery(study_id, 0, "summary")


@chart("/history", m.HistoryChart)
async def chart_history(study_id: int, metric: Metric = "", points: Most = 2000) -> ChartQuery:
    """Return the results of a study by trial number, with all improvements."""
    return ChartQuery(study_id, 0, "history", metric, points)


@chart("/curves", m.CurvesChart)
async def chart_curves(study_id: int, metric: Metric = "", number: Numbers = []) -> ChartQuery:  # noqa: B006 - FastAPI copies it
    """Return quantiles of the trials' reports over 64 steps, and up to 20 single curves."""
    return ChartQuery(study_id, 0, "curves", metric, 20, numbers=tuple(number))


@chart("/importance", m.ImportanceChart)
async def chart_importance(
    study_id: int, metric: Metric = "", quantile: Quantile = 0.25
) -> ChartQuery:
    """Return how much each parameter mattered, over all trials and in each branch."""
    return ChartQuery(study_id, 0, "importance", metric, most=MAX_SHARES, quantile=quantile)


@chart("/front", m.FrontChart)
async def chart_front(study_id: int, metric: Metric = "", points: Most = 2000) -> ChartQuery:
    """Return the Pareto front of a study beside its other results."""
    return ChartQuery(study_id, 0, "front", metric, most=points)


@chart("/tree", m.TreeChart)
async def chart_tree(study_id: int, metric: Metric = "", nodes: MostRows = 150) -> ChartQuery:
    """Return the branches of the space with the trials and results of each."""
    return ChartQuery(study_id, 0, "tree", metric, nodes)


@chart("/stops", m.StopsChart)
async def chart_stops(study_id: int, metric: Metric = "", verdicts: MostRows = 200) -> ChartQuery:
    """Return the audit of early stopping and its newest verdicts."""
    return ChartQuery(study_id, 0, "stops", metric, most=verdicts)


@chart("/slices", m.PointsChart)
async def chart_slices(
    study_id: int,
    metric: Metric = "",
    path: Paths = [],  # noqa: B006 - FastAPI copies it
    points: Most = 1000,
) -> ChartQuery:
    """Return results beside the values of up to 12 parameters."""
    return ChartQuery(study_id, 0, "slices", metric, points, paths=tuple(path))


@chart("/parallel", m.PointsChart)
async def chart_parallel(
    study_id: int,
    metric: Metric = "",
    path: Paths = [],  # noqa: B006 - FastAPI copies it
    lines: Most = 2000,
) -> ChartQuery:
    """Return lines for parallel coordinates: all good trials and a share of the others."""
    return ChartQuery(study_id, 0, "parallel", metric, lines, paths=tuple(path))


@chart("/health", m.HealthChart)
async def chart_health(study_id: int) -> ChartQuery:
    """Return what goes wrong in a study, each with its number and one thing to do."""
    return ChartQuery(study_id, 0, "health")


@chart("/law", LawChart)
async def chart_law(study_id: int) -> ChartQuery:
    """Return the scaling law that the trials of a study tell, with its figures."""
    return ChartQuery(study_id, 0, "law")


@chart("/knobs", KnobsChart)
async def chart_knobs(study_id: int) -> ChartQuery:
    """Return what a study of database knobs has found: verdict, changes, and what was rejected."""
    return ChartQuery(study_id, 0, "knobs")


@chart("/proposers", ProposersChart)
async def chart_proposers(
    study_id: int,
    number: Annotated[
        int | None,
        Query(ge=0, le=2**53, description="Trial whose advice is shown; by default the newest."),
    ] = None,
    points: Most = 500,
) -> ChartQuery:
    """Return who proposed the trials, what came of it, and what a language model said and cost."""
    numbers = () if number is None else (number,)
    return ChartQuery(study_id, 0, "proposers", most=points, numbers=numbers)


@chart("/trials", m.TrialsChart)
async def chart_trials(
    study_id: int,
    metric: Metric = "",
    path: Paths = [],  # noqa: B006 - FastAPI copies it
    sort: Sorted = "number",
    descending: bool = True,
    offset: Annotated[int, Query(ge=0, le=2**40, description="Place of the first row.")] = 0,
    rows: Annotated[int, Query(ge=1, le=MAX_ROWS)] = MAX_ROWS,
) -> ChartQuery:
    """Return one page of the table of trials."""
    return ChartQuery(
        study_id, 0, "trials", metric, rows, paths=tuple(path), sort=sort, descending=descending,
        offset=offset,
    )  # fmt: skip


@chart("/trial", m.TrialChart)
async def chart_trial(
    study_id: int,
    number: Annotated[int, Query(ge=0, le=2**53, description="Number of the trial.")],
    metric: Metric = "",
) -> ChartQuery:
    """Return everything about one trial: params beside others, reports, end, lineage."""
    return ChartQuery(study_id, 0, "trial", metric, 500, numbers=(number,))


@chart("/contour", ContourChart)
async def chart_contour(
    study_id: int,
    metric: Metric = "",
    path: Pair = [],  # noqa: B006 - FastAPI copies it
    points: MostRows = 400,
) -> ChartQuery:
    """Return what a model expects of two parameters over a grid, and the trials beside it."""
    return ChartQuery(study_id, 0, "contour", metric, points, paths=tuple(path))


@chart("/timeline", TimelineChart)
async def chart_timeline(study_id: int, metric: Metric = "", trials: Most = 1000) -> ChartQuery:
    """Return which worker ran which trial when, of the newest trials."""
    return ChartQuery(study_id, 0, "timeline", metric, most=trials)


@chart("/budget", BudgetChart)
async def chart_budget(study_id: int, metric: Metric = "", points: MostRows = 500) -> ChartQuery:
    """Return how many trials had ended at which time, the budget, and the best result by then."""
    return ChartQuery(study_id, 0, "budget", metric, points)


@chart("/workers", WorkersChart)
async def chart_workers(
    request: Request,
    project: str,
    study_id: int,
    metric: Metric = "",
    workers: MostRows = 100,
) -> ChartQuery:
    """Return the workers of a study with how each fares, and why one may wait."""
    quotas: QuotaBook = request.app.state.service.quotas
    held_back = await run_in_threadpool(quotas.refusal_to_start, project)
    return ChartQuery(study_id, 0, "workers", metric, most=workers, held_back=held_back)
