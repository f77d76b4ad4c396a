"""Stores notes on studies and trials."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from tunekit.checks import shown
from tunekit.errors import InvalidArgument, QuotaReached, UnknownTrial
from tunekit.service.attachments.owners import check_owner
from tunekit.storages.http.attachment_messages import Note
from tunekit.storages.sql.database import Database
from tunekit.storages.sql.schema import clock
from tunekit.storages.sql.service_tables import notes

MAX_BYTES = 10_000
"""Longest note, in UTF-8."""
MAX_NOTES = 10_000
"""Most notes of one study."""

_COLUMNS = (notes.c.id, notes.c.number, notes.c.author, notes.c.text, notes.c.created)


def check_text(text: str) -> None:
    """Check that a note can be stored.

    Raises:
        InvalidArgument: it is blank, too long, or holds what is not text.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        size = -1
    if not 0 <= size <= MAX_BYTES or "\0" in text or not text.strip():
        raise InvalidArgument(
            f"note {shown(text[:40])}: got {max(size, 0):,} bytes, expected plain text of 1 to "
            f"{MAX_BYTES:,} bytes in UTF-8; keep longer texts as artifacts."
        )


def add_note(
    connection: Connection, study_id: int, number: int | None, *, author: str, text: str
) -> Note:
    """Store a note on a study or one of its trials.

    Raises:
        UnknownStudy, UnknownTrial: there is none.
        QuotaReached: the study has as many notes as one may have.
    """
    check_owner(connection, study_id, number)
    count = select(func.count()).where(notes.c.study_id == study_id)
    if connection.execute(count).scalar_one() >= MAX_NOTES:
        raise QuotaReached(f"the study has {MAX_NOTES:,} notes; delete some first.")
    row = {"study_id": study_id, "number": number, "author": author, "text": text}
    made = insert(notes).values(created=clock(), **row).returning(*_COLUMNS)
    return Note(*connection.execute(made).one())


def read_notes(
    database: Database, study_id: int, number: int | None, *, after: int, limit: int
) -> list[Note]:
    """Return notes after an id: of a study with all its trials, or of one trial.

    Raises:
        UnknownStudy, UnknownTrial: there is none.
    """
    query = select(*_COLUMNS).where(notes.c.study_id == study_id, notes.c.id > after)
    if number is not None:
        query = query.where(notes.c.number == number)
    query = query.order_by(notes.c.id).limit(limit)

    def work(connection: Connection) -> Any:
        check_owner(connection, study_id, number)
        return connection.execute(query).all()

    rows = database.read(work)
    return [Note(*row) for row in rows]


def delete_note(database: Database, study_id: int, note_id: int) -> None:
    """Delete a note.

    Raises:
        UnknownTrial: the study has no such note.
    """
    this = (notes.c.study_id == study_id) & (notes.c.id == note_id)
    if not database.write_once(lambda c: c.execute(delete(notes).where(this)).rowcount):
        raise UnknownTrial(f"the study has no note {note_id}; list its notes first.")
