"""Stores artifacts: their content in files, what they are in a table.

The content is complete before the table names it, and deleted after the table has forgotten it. A
crash in between leaves a content that nothing names; `sweep` deletes those.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import IO, Any

from sqlalchemy import Connection, delete, insert, select

from tunekit.checks import shown
from tunekit.errors import InvalidArgument, UnknownTrial
from tunekit.service.answers import written
from tunekit.service.attachments.files import Files, open_files
from tunekit.service.attachments.owners import check_owner
from tunekit.service.idempotency import KeyedRequest, answer_once
from tunekit.storages.http.attachment_messages import Artifact
from tunekit.storages.sql.database import Database
from tunekit.storages.sql.schema import clock
from tunekit.storages.sql.service_tables import artifacts
from tunekit.storages.sql.sqlite import SQLiteDatabase

ORPHAN_S = 24 * 3600.0
"""Seconds after which a content that no artifact names is deleted; no upload takes so long."""

_NAME = re.compile(r"\w(?:[\w.+=@ -]{0,198}[\w+=@-])?")
_COLUMNS = (
    artifacts.c.number, artifacts.c.name, artifacts.c.size, artifacts.c.sha256,
    artifacts.c.media_type, artifacts.c.author, artifacts.c.created,
)  # fmt: skip


class Artifacts:
    """The artifacts of all studies of a service.

    Args:
        database: with the table.
        place: folder or URI for the contents; by default a folder beside an SQLite file.
        check_storing: raises if a project may not store more.
    """

    def __init__(
        self,
        database: Database,
        place: str = "",
        check_storing: Callable[[str], None] = lambda project: None,
    ) -> None:
        if not place and isinstance(database, SQLiteDatabase):
            place = f"{database.path}.artifacts"
        self._database = database
        self._place = place
        self._files: Files | None = None
        self.check_storing = check_storing

    @property
    def files(self) -> Files:
        """Return where the contents are.

        Raises:
            InvalidArgument: the service has no place for them.
        """
        if not self._place:
            raise InvalidArgument(
                "this service has no place for artifacts; start it with --artifacts and a folder "
                "that all of its replicas see, or a URI such as s3://bucket/artifacts."
            )
        if self._files is None:
            self._files = open_files(self._place)
        return self._files

    def check_trial(self, study_id: int, number: int) -> None:
        """Check that a trial exists.

        Raises:
            UnknownStudy, UnknownTrial: it does not.
        """
        self._database.read(lambda c: check_owner(c, study_id, number))

    def put(
        self, study_id: int, artifact: Artifact, *, file: str, keyed: KeyedRequest | None
    ) -> str:
        """Name a complete content; return the artifact's JSON form.

        Deletes the content that it replaces, or the new one if the request was answered before.

        Raises:
            UnknownStudy, UnknownTrial: there is no such trial.
            RequestConflict: the key was sent with another request.
        """
        unused = file

        def work(connection: Connection) -> str:
            nonlocal unused
            check_owner(connection, study_id, artifact.number)
            this = _this(study_id, artifact.number, artifact.name)
            old = connection.execute(delete(artifacts).where(this).returning(artifacts.c.file))
            replaced = old.scalar() or ""
            row = {
                "study_id": study_id, "number": artifact.number, "name": artifact.name,
                "file": file, "size": artifact.size, "sha256": artifact.sha256,
                "media_type": artifact.media_type, "author": artifact.author,
            }  # fmt: skip
            made = insert(artifacts).values(created=clock(), **row).returning(*_COLUMNS)
            answer = written(Artifact(*connection.execute(made).one()))
            unused = replaced
            return answer

        try:
            return answer_once(self._database, keyed, work)
        finally:
            if unused:
                self.files.delete(unused)

    def of_trial(self, study_id: int, number: int, *, after: str, limit: int) -> list[Artifact]:
        """Return artifacts of a trial by name, after a name.

        Raises:
            UnknownStudy, UnknownTrial: there is no such trial.
        """
        query = (
            select(*_COLUMNS)
            .where(artifacts.c.study_id == study_id, artifacts.c.number == number)
            .where(artifacts.c.name > after)
            .order_by(artifacts.c.name)
            .limit(limit)
        )
        self.check_trial(study_id, number)
        rows: Any = self._database.read(lambda c: c.execute(query).all())
        return [Artifact(*row) for row in rows]

    def open(self, study_id: int, number: int, name: str) -> tuple[Artifact, IO[bytes]]:
        """Return an artifact with its content to read.

        Raises:
            UnknownTrial: the trial has no artifact of this name.
        """
        query = select(*_COLUMNS, artifacts.c.file).where(_this(study_id, number, name))
        row = self._database.read(lambda c: c.execute(query).first())
        content = None if row is None else self.files.open(row.file)
        if row is None or content is None:
            raise _unknown(number, name)
        return Artifact(*row[:-1]), content

    def delete(self, study_id: int, number: int, name: str) -> None:
        """Delete an artifact with its content.

        Raises:
            UnknownTrial: the trial has no artifact of this name.
        """
        gone = delete(artifacts).where(_this(study_id, number, name)).returning(artifacts.c.file)
        file = self._database.write_once(lambda c: c.execute(gone).scalar())
        if file is None:
            raise _unknown(number, name)
        self.files.delete(file)

    def contents_of(self, study_id: int) -> list[str]:
        """Return the names of the contents of a study, to delete them with it."""
        query = select(artifacts.c.file).where(artifacts.c.study_id == study_id)
        return [*self._database.read(lambda c: c.execute(query).scalars().all())]

    def delete_contents(self, files: Sequence[str]) -> None:
        """Delete contents that no artifact names any more."""
        for file in files:
            self.files.delete(file)

    def sweep(self) -> int:
        """Delete old contents that no artifact names; return their number."""
        if not self._place:
            return 0
        old = self.files.older_than(ORPHAN_S)
        orphans = set(old)
        for i in range(0, len(old), 500):
            orphans -= self._named(old[i : i + 500])
        self.delete_contents([*orphans])
        return len(orphans)

    def _named(self, files: Sequence[str]) -> set[str]:
        """Return those of the contents that an artifact names."""
        query = select(artifacts.c.file).where(artifacts.c.file.in_(files))
        return {*self._database.read(lambda c: c.execute(query).scalars().all())}


def check_name(name: str) -> None:
    """Check the name of an artifact.

    Raises:
        InvalidArgument: it could be taken for a path, or cannot be a file name everywhere.
    """
    if not _NAME.fullmatch(name):
        raise InvalidArgument(
            f"artifact name {shown(name[:60])}, expected 1 to 200 letters, digits and any of "
            "_ . + = @ - and spaces, beginning with a letter or digit and not ending with a dot."
        )


def _this(study_id: int, number: int, name: str) -> Any:
    return (
        (artifacts.c.study_id == study_id)
        & (artifacts.c.number == number)
        & (artifacts.c.name == name)
    )


def _unknown(number: int, name: str) -> UnknownTrial:
    return UnknownTrial(
        f"trial {number} has no artifact {shown(name[:60])}; list its artifacts first."
    )
