"""Routes that show one study to whoever has a share link of it, and nothing else."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from tunekit.errors import UnknownStudy
from tunekit.records import StudyRecord
from tunekit.service.access.redaction import Redaction, shared_event
from tunekit.service.access.roles import Role
from tunekit.service.access.share_links import Shared, unknown_link
from tunekit.service.endpoints import endpoint, reply
from tunekit.service.links import Links
from tunekit.service.routes.parts import ITEMS, MAX_ITEMS, After, Limit, listed, page_of
from tunekit.service.routes.reads import report_page
from tunekit.storages.http import messages as m
from tunekit.storages.http import shared_messages as s
from tunekit.storages.http.browser import share_cookie
from tunekit.storages.project import ProjectStorage

router = APIRouter(prefix="/shared", tags=["shared"])

MAX_SECRET = 200
_LINKS = Links(
    {"number": "$response.body#/trials/0/number", "x-share-link": "$request.header.x-share-link"}
)


@dataclass(frozen=True, slots=True)
class View:
    """The study that a link shows, and the names of the people of its project."""

    storage: ProjectStorage
    record: StudyRecord
    shared: Shared
    people: set[str]


async def viewed(
    request: Request,
    x_share_link: Annotated[
        str | None, Header(max_length=MAX_SECRET, description="Secret of a share link.")
    ] = None,
) -> View:
    """Return the study of the link whose secret is in a header of the request.

    It is never in the URL, which servers and browsers remember.

    Raises:
        UnknownStudy: there is no such link, or not any more.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    secret = x_share_link or (token.strip() if scheme.lower() == "bearer" else "")
    if not 0 < len(secret) <= MAX_SECRET:
        raise unknown_link()
    service = request.app.state.service
    shared = await run_in_threadpool(service.share_links.shared, secret)
    storage = service.of_project(shared.project)
    try:
        record = await run_in_threadpool(storage.record, shared.study_id)
    except UnknownStudy:
        raise unknown_link() from None
    people = await run_in_threadpool(service.share_links.people, shared)
    return View(storage, record, shared, people)


InView = Annotated[View, Depends(viewed)]


@endpoint(
    router, "POST", "/open", role=Role.ANYONE, body=s.OpenShare, answer=s.OpenedShare
)  # fmt: skip
def open_share_link(request: Request, given: s.OpenShare) -> Response:
    """Give a browser a cookie with the secret of a share link, which no script can read."""
    if not 0 < len(given.secret) <= MAX_SECRET:
        raise unknown_link()
    shared = request.app.state.service.share_links.shared(given.secret)
    name = hashlib.sha256(given.secret.encode()).hexdigest()[:12]
    answer = reply(s.OpenedShare(name, shared.expires), headers={"Cache-Control": "no-store"})
    answer.set_cookie(
        share_cookie(name),
        given.secret,
        max_age=max(int(shared.expires - time.time()), 0),
        path=str(request.scope.get("root_path") or "/"),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return answer


@endpoint(router, "GET", "/study", role=Role.ANYONE, answer=s.SharedStudy)
def get_shared_study(view: InView) -> s.SharedStudy:
    """Return the study of a share link."""
    redaction = Redaction(people=view.people)
    return redaction.study(view.record, expires=view.shared.expires)


@endpoint(router, "GET", "/trials", role=Role.ANYONE, answer=s.SharedTrialPage, links=_LINKS)
def list_shared_trials(view: InView, after: After = 0, limit: Limit = MAX_ITEMS) -> Response:
    """Return trials that changed after a cursor, each in its latest form, by `seq`."""
    found = view.storage.changes(view.record.id, after, limit + 1)
    redaction = Redaction({t.worker for t in found.trials}, view.people)
    page = page_of(map(redaction.trial, found.trials), limit=limit)
    cursor = page.items[-1].seq if page.items else found.cursor
    return page.reply({"trials": ITEMS, "cursor": cursor, "more": page.is_cut})


@endpoint(router, "GET", "/reports", role=Role.ANYONE, answer=m.ReportPage)
def list_shared_reports(
    view: InView,
    first: Annotated[int, Query(ge=0, le=2**63 - 1, description="Trial to begin with.")] = 0,
    after_step: Annotated[
        int | None, Query(ge=-(2**63), le=2**63 - 1, description="Its last known step.")
    ] = None,
) -> Response:
    """Return reports in order of number and step."""
    known = () if after_step is None else (m.TrialCursor(first, after_step),)
    query = m.ReportQuery(known, every=True, first=first)
    return report_page(view.storage, view.record.id, query)


@endpoint(router, "GET", "/events", role=Role.ANYONE, answer=s.SharedEventPage)
def list_shared_events(view: InView, after: After = 0, limit: Limit = MAX_ITEMS) -> Response:
    """Return the log of the study after a cursor."""
    found = view.storage.events(view.record.id, after, limit + 1)
    return listed("events", map(shared_event, found), limit)
