"""Routes that show the charts of one study to whoever has a share link of it.

Those about workers are left out: their names and hosts are nobody's business.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from tunekit.analysis.charts.records import Chart
from tunekit.service.access.redaction import Redaction
from tunekit.service.access.roles import Role
from tunekit.service.charts.charts import Charts
from tunekit.service.charts.queries import ChartQuery
from tunekit.service.endpoints import endpoint
from tunekit.service.routes.charts import CHARTS, Asked, Chosen, Known, chart_answer
from tunekit.service.routes.shared import InView

router = APIRouter(prefix="/shared/charts", tags=["shared"])

WITHHELD = frozenset({"/workers", "/timeline", "/health", "/proposers"})
"""Charts that name workers, or hold a prompt with the task and the errors of a study."""


def _share(path: str, asked: Asked, answer: type[Chart]) -> None:
    """Serve a chart to callers with a share link."""

    async def handler(
        request: Request,
        view: InView,
        chosen: Chosen,
        query: ChartQuery = Depends(_without_study(asked)),  # noqa: B008 - FastAPI's way
        known: Known = None,
    ) -> Response:
        charts: Charts = request.app.state.service.charts
        asked_for = replace(
            query, study_id=view.record.id, study=view.record.spec.name, trials=chosen
        )
        tag, text = await charts.chart(asked_for, known)
        return chart_answer(tag, None if text is None else _redacted(text, view.people))

    handler.__name__ = f"shared_{asked.__name__}"
    handler.__doc__ = f"{asked.__doc__} For share links, without what is private."
    endpoint(router, "GET", path, role=Role.ANYONE, answer=answer)(handler)


def _without_study(asked: Asked) -> Asked:
    """Return the function that reads a chart's query, without the study in its path."""

    async def read(**given: Any) -> ChartQuery:
        return await asked(study_id=0, **given)

    signature = inspect.signature(asked, eval_str=True)
    kept = [p for p in signature.parameters.values() if p.name != "study_id"]
    read.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
    return read


def _redacted(text: str, people: set[str]) -> str:
    doc = json.loads(text)
    return json.dumps(Redaction(set(_workers(doc)), people).chart(doc), separators=(",", ":"))


def _workers(value: Any) -> Iterator[str]:
    """Yield the names of workers in the JSON form of a chart."""
    if isinstance(value, list):
        for part in value:
            yield from _workers(part)
    elif isinstance(value, dict):
        if isinstance(value.get("worker"), str):
            yield value["worker"]
        for part in value.values():
            yield from _workers(part)


for _path, (_asked, _answer) in CHARTS.items():
    if _path not in WITHHELD:
        _share(_path, _asked, _answer)
