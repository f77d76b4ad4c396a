"""The route that lists studies as a person looks for them, each with its progress and trend."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from tunekit.analysis.charts.study_records import StudyRow, StudyRowPage
from tunekit.errors import ServiceBusy, UnknownStudy
from tunekit.records import StudyRecord, StudyState
from tunekit.service.access.roles import Role
from tunekit.service.charts.charts import Charts, has_tag
from tunekit.service.charts.queries import ChartQuery
from tunekit.service.endpoints import endpoint
from tunekit.service.routes.parts import InProject
from tunekit.storages.codec import to_dict
from tunekit.studies.labels import is_archived, tags_of

router = APIRouter(prefix="/projects/{project}", tags=["studies"])

WAIT_S = 3.0
"""Seconds that a page waits for summaries; a row without one has it at the next request."""


@endpoint(router, "GET", "/study-rows", role=Role.VIEWER, answer=StudyRowPage)
async def list_study_rows(
    request: Request,
    storage: InProject,
    after: Annotated[str, Query(max_length=1000, description="Name of the last one.")] = "",
    limit: Annotated[int, Query(ge=1, le=50)] = 20,
    search: Annotated[str, Query(max_length=200, description="Part of the name.")] = "",
    tag: Annotated[str, Query(max_length=200, description="Only studies with this tag.")] = "",
    state: Annotated[StudyState | None, Query(description="Only studies in this state.")] = None,
    owner: Annotated[str, Query(max_length=200, description="Only studies of this account.")] = "",
    archived: Annotated[bool, Query(description="Archived studies in place of others.")] = False,
    known: Annotated[str | None, Header(alias="If-None-Match", max_length=400)] = None,
) -> Response:
    """List the studies of a project by name: state, progress, best result, trend, last event."""
    every = await run_in_threadpool(storage.list_studies)
    found = [
        r
        for r in every
        if is_archived(r.spec) == archived
        and search.casefold() in r.spec.name.casefold()
        and (not tag or tag in tags_of(r.spec))
        and (state is None or r.state is state)
    ]
    if owner:
        owners = await run_in_threadpool(
            request.app.state.service.owners.of, storage.project, [r.id for r in found]
        )
        found = [r for r in found if owners.get(r.id) == owner]
    page = [r for r in found if r.spec.name > after][: limit + 1]
    rows = await _rows(request, storage.project, page[:limit])
    answer = {
        "rows": rows,
        "total": len(found),
        "tags": sorted({t for r in every for t in tags_of(r.spec)})[:200],
        "after": page[limit - 1].spec.name if len(page) > limit else None,
    }
    text = json.dumps(answer, separators=(",", ":"))
    mark = f'"{hashlib.sha256(text.encode()).hexdigest()[:16]}"'
    headers = {"ETag": mark, "Cache-Control": "private, no-cache"}
    if has_tag(known, mark):
        return Response(status_code=304, headers=headers)
    return Response(text, headers=headers, media_type="application/json")


async def _rows(
    request: Request, project: str, records: Sequence[StudyRecord]
) -> list[dict[str, Any]]:
    """Return the JSON form of the rows; one summary after the other, as long as time allows."""
    service = request.app.state.service
    owners = await run_in_threadpool(service.owners.of, project, [r.id for r in records])
    until = time.monotonic() + WAIT_S
    rows = []
    for r in records:
        row = to_dict(_row(r, owners.get(r.id, "")))
        text = await _summary(service.charts, r.id, until - time.monotonic())
        rows.append({**row, **({} if text is None else {"summary": json.loads(text)})})
    return rows


async def _summary(charts: Charts, study_id: int, wait_s: float) -> str | None:
    """Return the summary of a study, `None` if it takes longer or the study has just gone."""
    if wait_s <= 0.0:
        return None
    try:
        query = ChartQuery(study_id, 0, "summary")
        return (await asyncio.wait_for(charts.chart(query, None), wait_s))[1]
    except (TimeoutError, ServiceBusy, UnknownStudy):
        return None


def _row(r: StudyRecord, owner: str) -> StudyRow:
    return StudyRow(
        r.id, r.spec.name, str(r.state), is_archived(r.spec), tags_of(r.spec), owner, r.created,
        r.seq,
    )  # fmt: skip
