"""Studies in SQLite or PostgreSQL: the storage contract on one schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, null, select, update
from sqlalchemy.exc import IntegrityError

from tunekit.records import Branch, Report, StudyRecord, StudySpec, StudyState, TrialState
from tunekit.spaces import Space
from tunekit.spaces.serialize import space_from_dict, space_to_dict
from tunekit.storages.base import Changes, Claim, Event, EventKind, Exchange, Operation
from tunekit.storages.checks import (
    check_exchange,
    check_points,
    check_spec,
    deleted_study,
    space_conflict,
    study_exists,
    unknown_study,
    unknown_trial,
)
from tunekit.storages.codec import (
    branch_text,
    decode,
    decode_all,
    encode,
    reports_by_number,
    spec_fields,
    spec_text,
    trial_records,
    written,
)
from tunekit.storages.sql import queue
from tunekit.storages.sql.database import Database
from tunekit.storages.sql.exchange import ExchangeRun, merge_attrs, new_event
from tunekit.storages.sql.revision import prepare
from tunekit.storages.sql.schema import (
    clock,
    events,
    reports,
    studies,
    trials,
)
from tunekit.storages.sql.schema import spaces as space_versions
from tunekit.storages.sql.statements import (
    ADD_EVENT,
    CHANGES,
    EVENTS,
    EXPIRE,
    GIVE_BACK,
    REPORTS,
    SOME_REPORTS,
    STUDIES,
    STUDY,
    TAKE,
)

CHUNK = 500


class SQLStorage:
    """Keeps the rules of `tunekit.storages.base`; safe to use from threads and processes.

    Raises:
        StorageError: the database cannot be opened.
        SchemaMismatch: a newer tunekit has written it.
    """

    def __init__(self, database: Database) -> None:
        self._db = database
        self.url = database.url
        self._spaces: dict[str, Space] = {}  # parsed ones by their text
        try:
            prepare(database)
        except BaseException:
            database.close()
            raise

    def create_study(self, spec: StudySpec) -> StudyRecord:
        """Create a study, or raise `StudyExists`."""
        check_spec(spec)
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
            if c.execute(STUDY, {"name": spec.name}).first() is not None:
                raise study_exists(spec.name)
            made = insert(studies).values(created=clock()).returning(studies.c.id)
            study_id = c.execute(made, row).scalar_one()
            if space is not None:
                first = {"study_id": study_id, "version": 1, "space": space}
                c.execute(insert(space_versions), first)

        try:
            self._db.write_once(work)
        except IntegrityError:  # another process was faster by a moment
            raise study_exists(spec.name) from None
        return self.get_study(spec.name)

    def get_study(self, name: str) -> StudyRecord:
        """Return the study as it stands now, or raise `UnknownStudy`."""
        row = self._db.read(lambda c: c.execute(STUDY, {"name": name}).first())
        if row is None:
            raise self._unknown(name)
        return self._study_record(row)

    def list_studies(self) -> list[StudyRecord]:
        """Return all studies by name."""
        rows = self._db.read(lambda c: c.execute(STUDIES).all())
        return sorted((self._study_record(r) for r in rows), key=lambda r: r.spec.name)

    def delete_study(self, name: str) -> None:
        """Delete a study with its trials, or raise `UnknownStudy`."""

        def work(c: Connection) -> bool:
            made = delete(studies).where(studies.c.name == name).returning(studies.c.id)
            study_id = c.execute(made).scalar()
            for table in (space_versions, trials, reports, events):
                c.execute(delete(table).where(table.c.study_id == study_id))
            return study_id is not None

        if not self._db.write_once(work):
            raise self._unknown(name)

    def set_state(self, study_id: int, state: StudyState) -> None:
        """Ask the workers of the study to go on, pause, stop or cancel."""
        wanted = str(StudyState(state))

        def work(c: Connection) -> None:
            seq, _, now, before = self._take(c, study_id)
            if before == wanted:
                c.rollback()  # gives the event number back
                return
            c.execute(update(studies).where(studies.c.id == study_id).values(state=wanted))
            self._note(c, study_id, seq, now, "study", None, {"state": wanted})

        self._db.write(work)

    def set_attrs(self, study_id: int, attrs: Mapping[str, Any]) -> None:
        """Merge plain JSON into the study's attributes."""
        new = decode(encode(attrs))

        def work(c: Connection) -> None:
            seq, _, now, _ = self._take(c, study_id)
            this = studies.c.id == study_id
            before = decode(c.execute(select(studies.c.attrs).where(this)).scalar_one())
            c.execute(update(studies).where(this).values(attrs=encode({**before, **new})))
            self._note(c, study_id, seq, now, "attrs", None, {})

        self._db.write_once(work)

    def set_space(self, study_id: int, space: Space, *, expected_version: int) -> int:
        """Store the next version of the space, or raise `TrialConflict`; return its number."""
        version = expected_version + 1
        row = {"study_id": study_id, "version": version, "space": encode(space_to_dict(space))}

        def work(c: Connection) -> int:
            seq, _, now, _ = self._take(c, study_id)
            this = studies.c.id == study_id
            current = c.execute(select(studies.c.space_version).where(this)).scalar_one()
            if current != expected_version:
                raise space_conflict(expected_version, current)
            c.execute(insert(space_versions), row)
            c.execute(update(studies).where(this).values(space_version=version))
            self._note(c, study_id, seq, now, "space", None, {"version": version})
            return version

        return self._db.write_once(work)

    def spaces(self, study_id: int) -> dict[int, Space]:
        """Return all versions of the space by number; empty before one is known."""
        versions = (
            select(space_versions.c.version, space_versions.c.space)
            .where(space_versions.c.study_id == study_id)
            .order_by(space_versions.c.version)
        )
        rows = self._db.read(lambda c: c.execute(versions).all())
        if not rows:
            self._check_study(study_id)
        return {version: self._space(text) for version, text in rows}

    def enqueue(
        self,
        study_id: int,
        points: Sequence[Mapping[str, Any]],
        *,
        user_attrs: Mapping[str, Any],
        branch: Branch | None = None,
    ) -> list[int]:
        """Append WAITING trials with the given (maybe partial) params; return their numbers."""
        check_points(points)
        texts = [encode(dict(p), "enqueued point") for p in points]
        attrs = encode(user_attrs) if user_attrs else None
        fields = {"user_attrs": attrs, "is_partial": True, "branch": branch_text(branch)}
        if not texts:
            return []

        def work(c: Connection) -> list[int]:
            n = len(texts)
            seq, n_trials, now, _ = self._take(c, study_id, n, n)
            places = {"first_number": n_trials - n, "first_seq": seq - n + 1}
            return queue.add_points(c, study_id, texts, fields=fields, now=now, **places)

        return self._db.write_once(work)

    def set_trial_attrs(self, study_id: int, number: int, attrs: Mapping[str, Any]) -> None:
        """Merge plain JSON into a trial's user attributes, or raise `UnknownTrial`."""
        new = decode(encode(attrs))

        def work(c: Connection) -> None:
            seq, n_trials, now, _ = self._take(c, study_id)
            if not 0 <= number < n_trials:
                raise unknown_trial(number, n_trials)
            merge_attrs(c, study_id, number, new)
            c.execute(update(trials).where(*_this(study_id, number)).values(seq=seq))
            self._note(c, study_id, seq, now, "attrs", number, {})

        self._db.write_once(work)

    def cancel_trial(self, study_id: int, number: int, reason: str) -> bool:
        """End an unfinished trial as CANCELLED; return whether it was unfinished."""
        outcome = encode({"reason": reason})

        def work(c: Connection) -> bool:
            seq, n_trials, now, _ = self._take(c, study_id)
            if not 0 <= number < n_trials:
                raise unknown_trial(number, n_trials)
            open_states = [str(s) for s in TrialState if not s.is_finished]
            done = c.execute(
                update(trials)
                .where(*_this(study_id, number), trials.c.state.in_(open_states))
                .values(
                    seq=seq, state="cancelled", finished=now, lease_until=null(), outcome=outcome
                )
            )
            if done.rowcount != 1:
                c.rollback()  # gives the event number back
                return False
            self._note(c, study_id, seq, now, "told", number, {"state": "cancelled"})
            return True

        return self._db.write_once(work)

    def promote(self, study_id: int, reasons: Mapping[int, str]) -> list[int]:
        """Let paused trials wait for a worker again; return their numbers."""
        if not reasons:
            return []

        def work(c: Connection) -> list[int]:
            last, n_trials, now, _ = self._take(c, study_id, len(reasons))
            for number in reasons:
                if not 0 <= number < n_trials:
                    raise unknown_trial(number, n_trials)
            seq = last - len(reasons)
            promoted = queue.promote(c, study_id, reasons, seq=seq, now=now)
            if len(promoted) < len(reasons):
                back = {"to_seq": seq + len(promoted), "to_n_trials": n_trials}
                c.execute(GIVE_BACK, {"study": study_id, **back})
            return promoted

        return self._db.write_once(work)

    def exchange(
        self,
        study_id: int,
        worker: str,
        operations: Sequence[Operation] = (),
        *,
        claim: Claim | None = None,
        lease_s: float = 60.0,
    ) -> Exchange:
        """Apply operations in order, then claim, all in one transaction."""
        check_exchange(worker, operations, claim, lease_s)
        texts = [written(op) for op in operations]

        def work(c: Connection) -> Exchange:
            return ExchangeRun(c, study_id, worker, lease_s).run(operations, texts, claim)

        return self._db.write(work)

    def expire(self, study_id: int, leases: Sequence[tuple[int, int]]) -> None:
        """End the leases `(number, epoch)` now; for workers that are known to be dead."""
        rows = [{"study": study_id, "n": number, "e": epoch} for number, epoch in leases]
        if rows:
            self._db.write(lambda c: c.execute(EXPIRE, rows) and None)

    def changes(self, study_id: int, after: int = 0) -> Changes:
        """Return every trial that changed after the cursor."""
        bound = {"study": study_id, "after": after}
        records = trial_records(self._db.read(lambda c: c.execute(CHANGES, bound).all()))
        if not records and after == 0:
            self._check_study(study_id)
        return Changes(tuple(records), records[-1].seq if records else after)

    def reports(
        self, study_id: int, numbers: Sequence[int] | None = None
    ) -> dict[int, tuple[Report, ...]]:
        """Return reports by trial number, in order of step; of all trials if none are named."""

        def work(c: Connection) -> dict[int, tuple[Report, ...]]:
            if numbers is None:
                rows = c.execute(REPORTS, {"study": study_id}).all()
                return reports_by_number([tuple(r) for r in rows])
            out: dict[int, tuple[Report, ...]] = {}
            asked = sorted(set(numbers))
            for i in range(0, len(asked), CHUNK):
                bound = {"study": study_id, "numbers": asked[i : i + CHUNK]}
                rows = c.execute(SOME_REPORTS, bound).all()
                out |= reports_by_number([tuple(r) for r in rows])
            return out

        return self._db.read(work)

    def events(self, study_id: int, after: int = 0, limit: int = 1000) -> list[Event]:
        """Return the study's log after the cursor, in order, at most `limit` entries."""
        bound = {"study": study_id, "after": after, "n": limit}
        rows = self._db.read(lambda c: c.execute(EVENTS, bound).all())
        data = decode_all(r.data for r in rows)
        return [Event(*r[:4], d or {}) for r, d in zip(rows, data, strict=True)]

    def close(self) -> None:
        """Let go of connections."""
        self._db.close()

    def _take(
        self, c: Connection, study_id: int, n_events: int = 1, n_new: int = 0
    ) -> tuple[int, int, float, str]:
        """Lock the study, take numbers; return (last seq, n_trials, time, state)."""
        bound = {"study": study_id, "n_events": n_events, "n_new": n_new}
        row = c.execute(TAKE, bound).first()
        if row is None:
            raise deleted_study(study_id)
        return row.seq, row.n_trials, row[-1], row.state

    def _note(
        self,
        c: Connection,
        study_id: int,
        seq: int,
        now: float,
        kind: EventKind,
        number: int | None,
        data: dict[str, Any],
    ) -> None:
        c.execute(ADD_EVENT, new_event(study_id, seq, kind, number, now, encode(data)))

    def _check_study(self, study_id: int) -> None:
        exists = select(func.count()).select_from(studies).where(studies.c.id == study_id)
        if not self._db.read(lambda c: c.execute(exists).scalar()):
            raise deleted_study(study_id)

    def _unknown(self, name: str) -> Exception:
        names = self._db.read(lambda c: c.execute(select(studies.c.name)).scalars().all())
        return unknown_study(name, names)

    def _space(self, text: str) -> Space:
        space = self._spaces.get(text)
        if space is None:
            space = self._spaces[text] = space_from_dict(decode(text))
        return space

    def _study_record(self, row: Any) -> StudyRecord:
        space = None if row.space is None else self._space(row.space)
        spec = StudySpec(
            name=row.name, space=space, attrs=decode(row.attrs), **spec_fields(row.spec)
        )
        return StudyRecord(
            row.id, spec, StudyState(row.state), row.seq, row.n_trials, row.space_version,
            row.created,
        )  # fmt: skip


def _this(study_id: int, number: int) -> tuple[Any, Any]:
    return trials.c.study_id == study_id, trials.c.number == number
