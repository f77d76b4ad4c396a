"""Routes for notes on studies and trials."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import Connection

from tunekit.service.access.roles import Role
from tunekit.service.answers import written
from tunekit.service.attachments.messages import Note, NotePage, NoteText
from tunekit.service.attachments.notes import add_note, check_text, delete_note, read_notes
from tunekit.service.endpoints import body_of, endpoint
from tunekit.service.idempotency import answer_once, keyed_request
from tunekit.service.links import Links
from tunekit.service.routes.parts import ITEMS, MAX_ITEMS, After, InProject, page_of
from tunekit.storages.sql.database import Database

router = APIRouter(prefix="/projects/{project}/studies/{study_id}", tags=["notes"])

Number = Annotated[int, Path(ge=0, le=2**63 - 1)]
Limit = Annotated[int, Query(ge=1, le=MAX_ITEMS)]
_LINKS = Links({"note_id": "$response.body#/id"})


@endpoint(
    router, "POST", "/notes", role=Role.WORKER, body=NoteText,
    example={"text": "The loss jumps at step 300."}, answer=Note, status=201,
    links=_LINKS,
)  # fmt: skip
async def add_study_note(request: Request, storage: InProject, study_id: int) -> Response:
    """Add a note to a study; the same `Idempotency-Key` adds it once."""
    await run_in_threadpool(storage.check_study, study_id)
    return await _added(request, study_id, None)


@endpoint(
    router, "POST", "/trials/{number}/notes", role=Role.WORKER, body=NoteText,
    example={"text": "The loss jumps at step 300."}, answer=Note,
    status=201, links=_LINKS,
)  # fmt: skip
async def add_trial_note(
    request: Request, storage: InProject, study_id: int, number: Number
) -> Response:
    """Add a note to a trial; the same `Idempotency-Key` adds it once."""
    await run_in_threadpool(storage.check_study, study_id)
    return await _added(request, study_id, number)


@endpoint(router, "GET", "/notes", role=Role.VIEWER, answer=NotePage)
async def list_notes(
    request: Request, storage: InProject, study_id: int, after: After = 0, limit: Limit = MAX_ITEMS
) -> Response:
    """List the notes on a study and on all its trials, after an id."""
    await run_in_threadpool(storage.check_study, study_id)
    return await _listed(request, study_id, None, after=after, limit=limit)


@endpoint(router, "GET", "/trials/{number}/notes", role=Role.VIEWER, answer=NotePage)
async def list_trial_notes(
    request: Request,
    storage: InProject,
    study_id: int,
    number: Number,
    after: After = 0,
    limit: Limit = MAX_ITEMS,
) -> Response:
    """List the notes on a trial, after an id."""
    await run_in_threadpool(storage.check_study, study_id)
    return await _listed(request, study_id, number, after=after, limit=limit)


@endpoint(router, "DELETE", "/notes/{note_id}", role=Role.EDITOR, status=204)
async def remove_note(
    request: Request,
    storage: InProject,
    study_id: int,
    note_id: Annotated[int, Path(ge=0, le=2**31 - 1)],
) -> Response:
    """Delete a note."""
    await run_in_threadpool(storage.check_study, study_id)
    await run_in_threadpool(delete_note, _database(request), study_id, note_id)
    return Response(status_code=204)


async def _added(request: Request, study_id: int, number: int | None) -> Response:
    given = await body_of(request, NoteText)
    check_text(given.text)
    author = request.state.principal.name

    def work(connection: Connection) -> str:
        return written(add_note(connection, study_id, number, author=author, text=given.text))

    keyed = await keyed_request(request)
    text = await run_in_threadpool(answer_once, _database(request), keyed, work)
    return Response(text, 201, media_type="application/json")


async def _listed(
    request: Request, study_id: int, number: int | None, *, after: int, limit: int
) -> Response:
    found = await run_in_threadpool(
        read_notes, _database(request), study_id, number, after=after, limit=limit + 1
    )
    page = page_of(found, limit=limit)
    return page.reply({"notes": ITEMS, "more": page.is_cut})


def _database(request: Request) -> Database:
    database: Database = request.app.state.service.storage.database
    return database
