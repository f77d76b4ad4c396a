"""Routes for notes on studies and trials."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import Connection

from tunekit.service.access.roles import Role
from tunekit.service.answers import written
from tunekit.service.attachments.notes import add_note, check_text, delete_note, read_notes
from tunekit.service.endpoints import endpoint
from tunekit.service.idempotency import KeyedRequest, answer_once
from tunekit.service.links import Links
from tunekit.service.routes.parts import MAX_ITEMS, After, InProject, Keyed, listed
from tunekit.storages.http.attachment_messages import Note, NotePage, NoteText
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
def add_study_note(
    request: Request, storage: InProject, study_id: int, keyed: Keyed, given: NoteText
) -> Response:
    """Add a note to a study; the same `Idempotency-Key` adds it once."""
    storage.check_study(study_id)
    return _added(request, study_id, None, given.text, keyed)


@endpoint(
    router, "POST", "/trials/{number}/notes", role=Role.WORKER, body=NoteText,
    example={"text": "The loss jumps at step 300."}, answer=Note,
    status=201, links=_LINKS,
)  # fmt: skip
def add_trial_note(
    request: Request,
    storage: InProject,
    study_id: int,
    number: Number,
    keyed: Keyed,
    given: NoteText,
) -> Response:
    """Add a note to a trial; the same `Idempotency-Key` adds it once."""
    storage.check_study(study_id)
    return _added(request, study_id, number, given.text, keyed)


@endpoint(router, "GET", "/notes", role=Role.VIEWER, answer=NotePage)
def list_notes(
    request: Request, storage: InProject, study_id: int, after: After = 0, limit: Limit = MAX_ITEMS
) -> Response:
    """List the notes on a study and on all its trials, after an id."""
    storage.check_study(study_id)
    return _listed(request, study_id, None, after=after, limit=limit)


@endpoint(router, "GET", "/trials/{number}/notes", role=Role.VIEWER, answer=NotePage)
def list_trial_notes(
    request: Request,
    storage: InProject,
    study_id: int,
    number: Number,
    after: After = 0,
    limit: Limit = MAX_ITEMS,
) -> Response:
    """List the notes on a trial, after an id."""
    storage.check_study(study_id)
    return _listed(request, study_id, number, after=after, limit=limit)


@endpoint(router, "DELETE", "/notes/{note_id}", role=Role.EDITOR, status=204)
def remove_note(
    request: Request,
    storage: InProject,
    study_id: int,
    note_id: Annotated[int, Path(ge=0, le=2**31 - 1)],
) -> None:
    """Delete a note."""
    storage.check_study(study_id)
    delete_note(_database(request), study_id, note_id)


def _added(
    request: Request, study_id: int, number: int | None, text: str, keyed: KeyedRequest | None
) -> Response:
    check_text(text)
    author = request.state.principal.name

    def work(connection: Connection) -> str:
        return written(add_note(connection, study_id, number, author=author, text=text))

    answer = answer_once(_database(request), keyed, work)
    return Response(answer, 201, media_type="application/json")


def _listed(
    request: Request, study_id: int, number: int | None, *, after: int, limit: int
) -> Response:
    found = read_notes(_database(request), study_id, number, after=after, limit=limit + 1)
    return listed("notes", found, limit)


def _database(request: Request) -> Database:
    database: Database = request.app.state.service.storage.database
    return database
