"""Stores studies in SQLite or PostgreSQL, with one schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from tunekit.checks import check_text
from tunekit.records import StudyRecord, StudySpec, StudyState, TrialRecord
from tunekit.shown import shown_url
from tunekit.spaces import Space
from tunekit.spaces.serialize import space_from_dict, space_to_dict
from tunekit.storages.checks import (
    check_key,
    check_spec,
    deleted_study,
    is_64_bit,
    study_exists,
    unknown_study,
)
from tunekit.storages.edits import StudyEdits
from tunekit.storages.reads import StorageReads
from tunekit.storages.rows import (
    decode,
    decoded_mapping,
    encode,
    spec_fields,
    spec_text,
    trial_records,
)
from tunekit.storages.sql.database import Database
from tunekit.storages.sql.revision import prepare
from tunekit.storages.sql.schema import clock, events, reports, requests, studies, trials
from tunekit.storages.sql.schema import spaces as space_versions
from tunekit.storages.sql.service_tables import artifacts, notes
from tunekit.storages.sql.statements import STUDIES, STUDY, STUDY_OF_ID
from tunekit.storages.sql.table import SQLTable
from tunekit.storages.stored_shapes import shaped_as_written
from tunekit.storages.table import StudyTable, StudyTableRow
from tunekit.storages.writes import StorageWrites

T = TypeVar("T")


class SQLStorage(StorageReads, StorageWrites):
    """Implements the rules of `tunekit.storages.base`; safe for threads and processes.

    Args:
        database: database with the tables.
        must_exist: refuse a database without tunekit's tables, and write nothing to it.
        may_upgrade: upgrade the tables of an older version.

    Attributes:
        database: as given; its other tables are read and written by the service.

    Raises:
        StorageError: the database cannot be opened, or `must_exist` is set and it does not
            belong to tunekit.
        UnknownStudy: `must_exist` is set and the file does not exist.
        SchemaMismatch: a newer tunekit has written it, or an older one and it may not be
            upgraded.
    """

    def __init__(
        self, database: Database, *, must_exist: bool = False, may_upgrade: bool = True
    ) -> None:
        self._db = self.database = database
        self.url = database.url
        self._spaces: dict[str, Space] = {}  # text -> parsed space
        try:
            if must_exist:
                database.check_existing()
            prepare(database, may_create=not must_exist, may_upgrade=may_upgrade)
        except BaseException:
            database.close()
            raise

    def create_study(self, spec: StudySpec, *, key: str | None = None) -> StudyRecord:
        """Create a study, or raise `StudyExists`; repeating the key returns the same study."""
        check_spec(spec)
        check_key(key)
        row = {
            "name": spec.name,
            "spec": spec_text(spec),
            "attrs": encode(spec.attrs),
            "state": str(StudyState.ACTIVE),
            "seq": 0,
            "n_trials": 0,
            "space_version": 0 if spec.space is None else 1,
            "max_retries": spec.max_retries,
        }
        space = None if spec.space is None else encode(space_to_dict(spec.space))

        def work(c: Connection) -> None:
            found = c.execute(STUDY, {"name": spec.name}).first()
            if found is not None:
                if key is None or SQLTable(c, found.id).request(key) is None:
                    raise study_exists(spec.name)
                return
            made = insert(studies).values(created=clock()).returning(studies.c.id)
            table = SQLTable(c, c.execute(made, row).scalar_one())
            if space is not None:
                table.add_space(1, space)
            if key is not None:
                table.add_request(key, "null")

        try:
            write = self._db.write_once if key is None else self._db.write
            write(work)
        except IntegrityError:  # another process created it in the meantime
            raise study_exists(spec.name) from None
        return self.get_study(spec.name)

    def get_study(self, name: str) -> StudyRecord:
        """Return the current state of a study, or raise `UnknownStudy`."""
        if not name.isprintable():  # no study has it, and databases may refuse the text
            raise self._unknown(name)
        row = self._db.read(lambda c: c.execute(STUDY, {"name": name}).first())
        if row is None:
            raise self._unknown(name)
        return self._study_record(row)

    def record(self, study_id: int) -> StudyRecord:
        """Return the current state of the study with an id, or raise `UnknownStudy`."""
        given = {"study": study_id}
        row = is_64_bit(study_id) and self._db.read(
            lambda c: c.execute(STUDY_OF_ID, given).first()
        )
        if not row:
            raise deleted_study(study_id)
        return self._study_record(row)

    def list_studies(self) -> list[StudyRecord]:
        """Return all studies by name."""
        rows = self._db.read(lambda c: c.execute(STUDIES).all())
        return sorted((self._study_record(r) for r in rows), key=lambda r: r.spec.name)

    def look(self, study_id: int) -> StudyTableRow:
        """Return how far a study has got, or raise `UnknownStudy`; cheaper than its record."""
        return self._read(study_id, lambda table: table.look())

    def trials_from(self, study_id: int, first: int, limit: int) -> list[TrialRecord]:
        """Return trials in their latest form by number, from the first one on."""
        rows = self._db.read(lambda c: SQLTable(c, study_id).trials_from(first, limit))
        return trial_records(rows)

    def delete_study(self, name: str) -> None:
        """Delete a study with its trials, or raise `UnknownStudy`."""

        def work(c: Connection) -> bool:
            made = delete(studies).where(studies.c.name == name).returning(studies.c.id)
            study_id = c.execute(made).scalar()
            for table in (space_versions, trials, reports, events, requests, notes, artifacts):
                c.execute(delete(table).where(table.c.study_id == study_id))
            return study_id is not None

        if not self._db.write_once(work):
            raise self._unknown(name)

    def rename_study(self, study_id: int, name: str) -> None:
        """Give a study another name, or raise `StudyExists`."""
        check_text(name, "study name")
        before = self.record(study_id).spec.name
        if name == before:
            return
        try:
            self._transact(
                study_id, lambda table: StudyEdits(table, study_id).rename(before, name)
            )
        except IntegrityError:
            raise study_exists(name) from None

    def spaces(self, study_id: int) -> dict[int, Space]:
        """Return all versions of the space by number; empty before the first one."""
        versions = (
            select(space_versions.c.version, space_versions.c.space)
            .where(space_versions.c.study_id == study_id)
            .order_by(space_versions.c.version)
        )
        rows = self._db.read(lambda c: c.execute(versions).all())
        if not rows:
            self._check_study(study_id)
        return {version: self._space(text) for version, text in rows}

    def ping(self) -> None:
        """Return once the database has answered.

        Raises:
            StorageUnreachable: it does not, also after retries.
        """
        self._db.read(lambda c: c.exec_driver_sql("SELECT 1").scalar())

    def close(self) -> None:
        """Close all connections."""
        self._db.close()

    def _read(self, study_id: int, work: Callable[[StudyTable], T]) -> T:
        return self._db.read(lambda c: work(SQLTable(c, study_id)))

    def _transact(
        self, study_id: int, work: Callable[[StudyTable], T], *, repeatable: bool = False
    ) -> T:
        write = self._db.write if repeatable else self._db.write_once
        return write(lambda c: work(SQLTable(c, study_id)))

    def _check_study(self, study_id: int) -> None:
        exists = select(func.count()).select_from(studies).where(studies.c.id == study_id)
        if not self._db.read(lambda c: c.execute(exists).scalar()):
            raise deleted_study(study_id)

    def _unknown(self, name: str) -> Exception:
        names = self._db.read(lambda c: c.execute(select(studies.c.name)).scalars().all())
        return unknown_study(name, names, shown_url(self.url))

    def _space(self, text: str) -> Space:
        space = self._spaces.get(text)
        if space is None:
            with shaped_as_written("the space of a study"):
                space = self._spaces[text] = space_from_dict(decode(text))
        return space

    def _study_record(self, row: Any) -> StudyRecord:
        space = None if row.space is None else self._space(row.space)
        with shaped_as_written(f'study "{row.name}"'):
            attrs = decoded_mapping(row.attrs)
            spec = StudySpec(name=row.name, space=space, attrs=attrs, **spec_fields(row.spec))
            return StudyRecord(
                row.id, spec, StudyState(row.state), row.seq, row.n_trials, row.space_version,
                row.created,
            )  # fmt: skip
