"""The route that exports a study as a file, in constant memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from tunekit.records import Report, StudyRecord, TrialRecord
from tunekit.service.access.roles import Role
from tunekit.service.endpoints import endpoint
from tunekit.service.routes.parts import InProject
from tunekit.storages.sql.storage import SQLStorage
from tunekit.studies.export_columns import ExportColumns
from tunekit.studies.export_formats import csv_table, json_lines, parquet_table

router = APIRouter(prefix="/projects/{project}/studies/{study_id}", tags=["reads"])

BATCH = 100
"""Trials that are read at once."""
MEDIA_TYPES = {
    "jsonl": "application/jsonl",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}

Format = Literal["jsonl", "csv", "parquet"]


@endpoint(router, "GET", "/export", role=Role.VIEWER)
async def export_study(
    request: Request,
    storage: InProject,
    study_id: int,
    format: Annotated[Format, Query(description="Kind of file.")] = "jsonl",
    exact: Annotated[
        bool, Query(description="Leave texts in CSV alone that a spreadsheet runs as formulas.")
    ] = False,
) -> StreamingResponse:
    """Return all trials as a file: one row each, in JSON Lines with its reports.

    Trials that change in the meantime appear in their older or newer form. In CSV, a text that a
    spreadsheet would run as a formula gets an apostrophe in front.
    """
    record = await run_in_threadpool(storage.record, study_id)
    everything: SQLStorage = request.app.state.service.storage
    parts = _parts(everything, record, format, exact=exact)
    # The first part is made before the answer begins, so that an error still has a status.
    first = await run_in_threadpool(next, parts, b"")
    name = f"{record.spec.name}.{format}"
    plain = re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    return StreamingResponse(
        chain([first], parts),
        media_type=MEDIA_TYPES[format],
        headers={"Content-Disposition": disposition},
    )


def _parts(
    storage: SQLStorage, record: StudyRecord, format: Format, *, exact: bool
) -> Iterator[bytes]:
    batches = _batches(storage, record.id)
    columns = ExportColumns.of(t for batch in batches() for t in batch)
    if format == "csv":
        yield from csv_table(columns, batches(), disarms=not exact)
    elif format == "parquet":
        yield from parquet_table(record.spec.name, columns, batches())
    else:
        yield from json_lines(columns, _with_reports(storage, record.id, batches()))


def _batches(storage: SQLStorage, study_id: int) -> Callable[[], Iterator[list[TrialRecord]]]:
    def read() -> Iterator[list[TrialRecord]]:
        first = 0
        while batch := storage.trials_from(study_id, first, BATCH):
            yield batch
            first = batch[-1].number + 1

    return read


def _with_reports(
    storage: SQLStorage, study_id: int, batches: Iterator[list[TrialRecord]]
) -> Iterator[tuple[list[TrialRecord], dict[int, tuple[Report, ...]]]]:
    for batch in batches:
        yield batch, storage.reports(study_id, [t.number for t in batch])
