"""Routes that read a study from cursor to cursor: changes, reports, events, spaces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby, islice

from fastapi import APIRouter, Response

from tunekit.records import Report, TrialRecord
from tunekit.service.access.roles import Role
from tunekit.service.answers import written
from tunekit.service.endpoints import endpoint
from tunekit.service.routes.parts import (
    ITEMS,
    MAX_ITEMS,
    After,
    InProject,
    Limit,
    filled,
    listed,
    page_of,
)
from tunekit.spaces.serialize import space_to_dict
from tunekit.storages.http import messages as m
from tunekit.storages.project import ProjectStorage

router = APIRouter(prefix="/projects/{project}/studies/{study_id}", tags=["reads"])

MAX_REPORTS = 5000
CHUNK = 500
"""Trials whose reports are looked up at once."""
FIRST_CHUNK = 64
"""Trials that are read at first; long ones fill an answer with few."""
TRIAL_BYTES = 50
"""Most bytes of a trial in an answer besides its reports."""


@endpoint(router, "GET", "/trials", role=Role.VIEWER, answer=m.ChangePage)
def list_trials(
    storage: InProject, study_id: int, after: After = 0, limit: Limit = MAX_ITEMS
) -> Response:
    """Return trials that changed after a cursor, each in its latest form, by `seq`."""
    trials = changed_trials(storage, study_id, after)
    page = page_of(trials, limit=limit)
    cursor = page.items[-1].seq if page.items else after
    return page.reply({"trials": ITEMS, "cursor": cursor, "more": page.is_cut})


@endpoint(
    router, "POST", "/reports:read", role=Role.VIEWER, body=m.ReportQuery, answer=m.ReportPage
)  # fmt: skip
def read_reports(storage: InProject, study_id: int, given: m.ReportQuery) -> Response:
    """Return reports of some or all trials, in order of number and step."""
    return report_page(storage, study_id, given)


@endpoint(router, "GET", "/events", role=Role.VIEWER, answer=m.EventPage)
def list_events(
    storage: InProject, study_id: int, after: After = 0, limit: Limit = MAX_ITEMS
) -> Response:
    """Return the log of a study after a cursor."""
    return listed("events", storage.events(study_id, after, limit + 1), limit)


@endpoint(router, "GET", "/spaces", role=Role.VIEWER, answer=m.SpacePage)
def list_spaces(storage: InProject, study_id: int, after: After = 0) -> Response:
    """Return the versions of a study's space after a version."""
    found = storage.spaces(study_id)
    versions = [m.SpaceVersion(n, space_to_dict(space)) for n, space in found.items() if n > after]
    return listed("versions", versions)


def changed_trials(storage: ProjectStorage, study_id: int, after: int) -> Iterator[TrialRecord]:
    """Yield changed trials by `seq`; reads only about as many as are taken."""
    n = FIRST_CHUNK
    while trials := storage.changes(study_id, after, n).trials:
        yield from trials
        if len(trials) < n:
            return
        after, n = trials[-1].seq, min(2 * n, MAX_ITEMS)


def report_page(storage: ProjectStorage, study_id: int, query: m.ReportQuery) -> Response:
    """Return the reports that a query asks for, as many as fit into one answer."""
    known = {t.number: t.after_step for t in query.trials if t.after_step is not None}
    numbers = _numbers(storage, study_id, query)
    most = min(MAX_REPORTS, MAX_REPORTS if query.limit is None else query.limit)
    found: dict[int, tuple[Report, ...]] = {}
    count = 0
    while count <= most:
        chunk = list(islice(numbers, CHUNK))  # the first may be empty: the study has to exist
        part = storage.reports(study_id, chunk, after_step=known, limit=most + 1 - count)
        found |= part
        count += sum(map(len, part.values()))
        if len(chunk) < CHUNK:
            break
    return _cut(found, most)


def _numbers(storage: ProjectStorage, study_id: int, query: m.ReportQuery) -> Iterator[int]:
    if query.every:
        return iter(range(max(query.first, 0), storage.record(study_id).n_trials))
    return iter(sorted({t.number for t in query.trials}))


def _cut(found: Mapping[int, tuple[Report, ...]], most: int) -> Response:
    """Return the first reports that fit into one answer."""
    rows = [
        (number, report, i == 0)
        for number, reports in found.items()
        for i, report in enumerate(reports)
    ]
    page = page_of(
        rows,
        limit=most,
        write=lambda row: written(row[1]),
        beside=lambda row: TRIAL_BYTES if row[2] else 0,
    )
    pairs = zip(page.items, page.texts, strict=True)
    trials = [
        filled({"number": number, "reports": ITEMS}, [text for _, text in of_trial])
        for number, of_trial in groupby(pairs, key=lambda pair: pair[0][0])
    ]
    answer = filled({"trials": ITEMS, "more": page.is_cut}, trials)
    return Response(answer, media_type="application/json")
