"""Implements the storage contract on a tunekit service.

Answers are limited in size, so reads continue from cursor to cursor until they have everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from tunekit.checks import check_text
from tunekit.errors import InvalidArgument
from tunekit.identifiers import new_id
from tunekit.records import StudyRecord, StudySpec, StudyState, TrialRecord
from tunekit.shown import shown_url
from tunekit.spaces import Space
from tunekit.spaces.serialize import space_from_dict, space_to_dict
from tunekit.storages.base import Changes, Event, Exchange, ExchangeRequest
from tunekit.storages.checked import CheckedStorage, Curves, Reports, Steps
from tunekit.storages.checks import (
    STEPS,
    check_key,
    check_spec,
    is_64_bit,
    unknown_trial,
)
from tunekit.storages.codec import from_dict, to_dict
from tunekit.storages.http import messages as m
from tunekit.storages.http.connection import Connection, ServiceResponse, quoted
from tunekit.storages.rows import normal

T = TypeVar("T")


class HTTPStorage(CheckedStorage):
    """Stores studies of one project in a tunekit service; safe for threads and processes.

    Args:
        connection: to the service.
        project: whose studies it shows; `None` for the caller's default project.

    Raises:
        StorageUnreachable: the service does not answer.
        NotAuthenticated: it refuses the token.
    """

    def __init__(self, connection: Connection, project: str | None = None) -> None:
        self._http = connection
        try:
            caller = from_dict(m.Caller, connection.request("GET", "/caller").doc)
        except BaseException:
            connection.close()
            raise
        self.project = project or caller.project
        self.url = shown_url(f"{connection.url}/{quoted(self.project)}")
        self._studies = f"/projects/{quoted(self.project)}/studies"

    def create_study(self, spec: StudySpec, *, key: str | None = None) -> StudyRecord:
        """Create a study, or raise `StudyExists`; repeating the key returns the same study."""
        check_spec(spec)
        check_key(key)
        headers = {"Idempotency-Key": quoted(key or new_id())}
        answer = self._http.request("POST", self._studies, to_dict(spec), headers=headers)
        return from_dict(StudyRecord, answer.doc)

    def get_study(self, name: str) -> StudyRecord:
        """Return the current state of a study, or raise `UnknownStudy`."""
        answer = self._http.request("GET", f"{self._studies}/by-name", query={"name": name})
        return from_dict(StudyRecord, answer.doc)

    def record(self, study_id: int) -> StudyRecord:
        """Return the current state of the study with an id, or raise `UnknownStudy`."""
        return from_dict(StudyRecord, self._get(study_id).doc)

    def list_studies(self) -> list[StudyRecord]:
        """Return all studies of the project by name."""
        found: list[StudyRecord] = []
        page = m.StudyRecordPage((), "")
        while page.after is not None:
            query = {"after": page.after or None}
            page = from_dict(
                m.StudyRecordPage, self._http.request("GET", self._studies, query=query).doc
            )
            found += page.studies
        return found

    def delete_study(self, name: str) -> None:
        """Delete a study with its trials, or raise `UnknownStudy`."""
        study = self.get_study(name)
        self._http.request("DELETE", self._path(study.id), is_repeatable=False)

    def rename_study(self, study_id: int, name: str) -> None:
        """Give a study another name, or raise `StudyExists`."""
        check_text(name, "study name")
        path = f"{self._path(study_id)}/name"
        self._http.request("PUT", path, to_dict(m.StudyName(name)))

    def set_state(self, study_id: int, state: StudyState) -> None:
        """Ask the workers of the study to continue, pause, stop or cancel."""
        self._patch(study_id, m.StudyPatch(state=StudyState(state)))

    def set_attrs(self, study_id: int, attrs: Mapping[str, Any]) -> None:
        """Merge plain JSON into the study's attributes."""
        self._patch(study_id, m.StudyPatch(attrs=normal(attrs)))

    def set_goal(self, study_id: int, spec: StudySpec, *, expected_seq: int) -> None:
        """Replace objectives and constraints; `TrialConflict` after an event > `expected_seq`."""
        check_spec(spec)
        self._put(study_id, "/goal", to_dict(spec), expected_seq)

    def set_space(self, study_id: int, space: Space, *, expected_version: int) -> int:
        """Store the next version of the space, or raise `TrialConflict`; return its number."""
        doc = self._put(study_id, "/space", space_to_dict(space), expected_version).doc
        return from_dict(m.SpaceVersion, doc).version

    def spaces(self, study_id: int) -> dict[int, Space]:
        """Return all versions of the space by number; empty before the first one."""
        found: dict[int, Space] = {}
        page = m.SpacePage((), more=True)
        while page.more:
            answer = self._get(study_id, "/spaces", after=max(found, default=0))
            page = from_dict(m.SpacePage, answer.doc)
            found |= {v.version: space_from_dict(dict(v.space)) for v in page.versions}
        return found

    def _enqueue(self, study_id: int, given: m.Enqueue, key: str | None) -> list[int]:
        body = m.Enqueue(
            tuple([normal(p) for p in given.points]), normal(given.user_attrs), given.branch
        )
        return self._numbers(study_id, "/trials:enqueue", body, key or new_id())

    def _add(
        self, study_id: int, trials: Sequence[TrialRecord], reports: Curves, key: str | None
    ) -> list[int]:
        curves = tuple([m.TrialReports(n, tuple(r)) for n, r in reports.items()])
        body = m.AddTrials(tuple(trials), curves)
        return self._numbers(study_id, "/trials:add", body, key or new_id())

    def promote(self, study_id: int, reasons: Mapping[int, str]) -> list[int]:
        """Queue paused trials for a worker again; return their numbers."""
        if not reasons:
            return []
        beyond = next((n for n in reasons if not is_64_bit(n)), None)
        if beyond is not None:  # no trial has it, and no request can hold it
            record = from_dict(StudyRecord, self._get(study_id, "").doc)
            raise unknown_trial(beyond, record.n_trials)
        trials = tuple([m.TrialReason(n, reason) for n, reason in reasons.items()])
        return self._numbers(study_id, "/trials:promote", m.Promote(trials))

    def set_trial_attrs(self, study_id: int, number: int, attrs: Mapping[str, Any]) -> None:
        """Merge plain JSON into a trial's user attributes, or raise `UnknownTrial`."""
        path = f"{self._path(study_id)}/trials/{number}"
        self._http.request("PATCH", path, to_dict(m.TrialAttrs(normal(attrs))))

    def cancel_trial(self, study_id: int, number: int, reason: str) -> bool:
        """End an unfinished trial as CANCELLED; return whether it was unfinished."""
        path = f"{self._path(study_id)}/trials/{number}:cancel"
        answer = self._http.request("POST", path, to_dict(m.Cancel(reason)), is_repeatable=False)
        return from_dict(m.Changed, answer.doc).changed

    def _exchange(self, study_id: int, request: ExchangeRequest) -> Exchange:
        path = f"{self._path(study_id)}/trials:exchange"
        doc = self._http.request("POST", path, to_dict(request)).doc
        answer = from_dict(m.ExchangeAnswer, doc)
        changes = answer.exchange.changes
        if changes is None or not answer.more:
            return answer.exchange
        later = self.changes(study_id, changes.cursor)
        whole = _merged(changes, later)
        return replace(answer.exchange, changes=whole)

    def exchange_many(
        self, study_id: int, requests: Sequence[ExchangeRequest]
    ) -> list[Exchange | InvalidArgument]:
        """Answer several workers in order; a refused request does not affect others.

        Each request is a transaction of its own here; the service joins those of its clients.
        """
        answers: list[Exchange | InvalidArgument] = []
        for r in requests:
            given: dict[str, Any] = {"claim": r.claim, "lease_s": r.lease_s, "after": r.after}
            try:
                answers.append(self.exchange(study_id, r.worker, r.operations, **given))
            except InvalidArgument as error:
                answers.append(error)
        return answers

    def expire(self, study_id: int, leases: Sequence[tuple[int, int]]) -> None:
        """Expire the leases `(number, epoch)` now, for workers known to be dead."""
        held = [m.HeldLease(n, e) for n, e in leases if is_64_bit(n) and is_64_bit(e)]
        if held:
            path = f"{self._path(study_id)}/trials:expire"
            self._http.request("POST", path, to_dict(m.Expire(tuple(held))))

    def _changes(self, study_id: int, after: int, limit: int | None) -> Changes:
        trials: list[TrialRecord] = []
        page = m.ChangePage((), after, more=True)
        while page.more and (limit is None or len(trials) < limit):
            rest = None if limit is None else limit - len(trials)
            answer = self._get(study_id, "/trials", after=page.cursor, limit=rest)
            page = from_dict(m.ChangePage, answer.doc)
            trials += page.trials
        return _merged(Changes(tuple(trials), page.cursor), Changes((), page.cursor))

    def _reports(
        self, study_id: int, numbers: Sequence[int] | None, after: Steps, limit: int | None
    ) -> Reports:
        known = {
            n: min(max(step, STEPS.start), STEPS.stop - 1)
            for n, step in after.items()
            if is_64_bit(n)
        }
        asked = sorted(known) if numbers is None else sorted({n for n in numbers if is_64_bit(n)})
        if limit == 0 or (numbers is not None and not asked):
            return {}
        found: Reports = {}
        first, count, more = 0, 0, True
        while more:
            cursors = tuple([m.TrialCursor(n, known.get(n)) for n in asked if n >= first])
            rest = None if limit is None else limit - count
            page = self._report_page(
                study_id, m.ReportQuery(cursors, numbers is None, first, rest)
            )
            for trial in page.trials:
                found[trial.number] = found.get(trial.number, ()) + trial.reports
                known[trial.number] = trial.reports[-1].step
                count += len(trial.reports)
                first = trial.number
            if page.trials and numbers is None and first not in asked:
                asked = [first, *asked]
            more = page.more and (limit is None or count < limit)
        return found

    def _report_page(self, study_id: int, query: m.ReportQuery) -> m.ReportPage:
        path = f"{self._path(study_id)}/reports:read"
        return from_dict(m.ReportPage, self._http.request("POST", path, to_dict(query)).doc)

    def _events(self, study_id: int, after: int, limit: int) -> list[Event]:
        found: list[Event] = []
        more = True
        while more and len(found) < limit:
            cursor = found[-1].seq if found else after
            answer = self._get(study_id, "/events", after=cursor, limit=limit - len(found))
            page = from_dict(m.EventPage, answer.doc)
            found, more = [*found, *page.events], page.more
        return found

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _path(self, study_id: int) -> str:
        return f"{self._studies}/{study_id}"

    def _get(self, study_id: int, path: str = "", **query: int | None) -> ServiceResponse:
        return self._http.request("GET", f"{self._path(study_id)}{path}", query=query)

    def _patch(self, study_id: int, patch: m.StudyPatch) -> None:
        self._http.request("PATCH", self._path(study_id), to_dict(patch))

    def _put(
        self, study_id: int, path: str, doc: dict[str, Any], expected: int
    ) -> ServiceResponse:
        headers = {"If-Match": f'"{expected}"'}
        target = f"{self._path(study_id)}{path}"
        return self._http.request("PUT", target, doc, headers=headers, is_repeatable=False)

    def _numbers(self, study_id: int, path: str, body: Any, key: str | None = None) -> list[int]:
        headers = {} if key is None else {"Idempotency-Key": quoted(key)}
        answer = self._http.request(
            "POST", f"{self._path(study_id)}{path}", to_dict(body),
            headers=headers, is_repeatable=key is not None,
        )  # fmt: skip
        return list(from_dict(m.Numbers, answer.doc).numbers)


def _merged(first: Changes, later: Changes) -> Changes:
    """Return changes read in pages, each trial once in its latest form, by `seq`."""
    latest = {t.number: t for t in (*first.trials, *later.trials)}
    return Changes(tuple(sorted(latest.values(), key=lambda t: t.seq)), later.cursor)
