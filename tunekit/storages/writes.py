"""Implements the writing half of the storage contract on any `StudyTable`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

from tunekit.errors import InvalidArgument
from tunekit.records import StudySpec, StudyState, TrialRecord
from tunekit.spaces import Space
from tunekit.spaces.serialize import space_to_dict
from tunekit.storages.base import Exchange, ExchangeRequest
from tunekit.storages.batch_table import BatchTable
from tunekit.storages.checked import CheckedStorage, Curves
from tunekit.storages.checks import (
    check_spec,
    is_64_bit,
)
from tunekit.storages.edits import StudyEdits
from tunekit.storages.exchange import ExchangeGuard, ExchangeRun
from tunekit.storages.http.messages import Enqueue
from tunekit.storages.rows import (
    added_cells,
    changes_of,
    checked_exchange,
    encode,
    normal,
    report_texts,
    spec_text,
    written,
)
from tunekit.storages.table import Cells, StudyTable

T = TypeVar("T")


class StorageWrites(CheckedStorage):
    """Validates and encodes writes, then applies each in one transaction.

    A storage inherits the writes, adds the reads, and defines `_transact`.
    """

    @abstractmethod
    def _transact(
        self, study_id: int, work: Callable[[StudyTable], T], *, repeatable: bool = False
    ) -> T:
        """Return `work(table)` of a study, committed entirely or not at all.

        Repeatable work may run again if the answer to its commit was lost.
        """

    def set_state(self, study_id: int, state: StudyState) -> None:
        """Ask the workers of the study to continue, pause, stop or cancel."""
        wanted = str(StudyState(state))
        self._transact(
            study_id, lambda t: StudyEdits(t, study_id).set_state(wanted), repeatable=True
        )

    def set_attrs(self, study_id: int, attrs: Mapping[str, Any]) -> None:
        """Merge plain JSON into the study's attributes."""
        new = normal(attrs)
        self._transact(study_id, lambda t: StudyEdits(t, study_id).set_attrs(new))

    def set_goal(self, study_id: int, spec: StudySpec, *, expected_seq: int) -> None:
        """Replace the objectives and constraints, or raise `TrialConflict`."""
        check_spec(spec)
        text = spec_text(spec)
        self._transact(study_id, lambda t: StudyEdits(t, study_id).set_goal(text, expected_seq))

    def set_space(self, study_id: int, space: Space, *, expected_version: int) -> int:
        """Store the next version of the space, or raise `TrialConflict`; return its number."""
        text = encode(space_to_dict(space))
        return self._transact(
            study_id, lambda t: StudyEdits(t, study_id).set_space(text, expected_version)
        )

    def _enqueue(self, study_id: int, given: Enqueue, key: str | None) -> list[int]:
        texts = [encode(dict(p), "enqueued point") for p in given.points]
        attrs = encode(given.user_attrs) if given.user_attrs else None
        return self._transact(
            study_id,
            lambda t: StudyEdits(t, study_id).enqueue(texts, attrs, given.branch, key),
            repeatable=key is not None,
        )

    def _add(
        self, study_id: int, trials: Sequence[TrialRecord], reports: Curves, key: str | None
    ) -> list[int]:
        cells, created = [added_cells(t) for t in trials], [t.created for t in trials]
        known = [(i, t.number) for i, t in enumerate(trials) if reports.get(t.number)]
        curves = {i: report_texts(reports[n], f"trial {n}") for i, n in known}
        return self._transact(
            study_id,
            lambda t: StudyEdits(t, study_id).add(cells, created, curves, key),
            repeatable=key is not None,
        )

    def promote(self, study_id: int, reasons: Mapping[int, str]) -> list[int]:
        """Queue paused trials for a worker again; return their numbers."""
        if not reasons:
            return []
        return self._transact(study_id, lambda t: StudyEdits(t, study_id).promote(reasons))

    def set_trial_attrs(self, study_id: int, number: int, attrs: Mapping[str, Any]) -> None:
        """Merge plain JSON into a trial's user attributes, or raise `UnknownTrial`."""
        new = normal(attrs)
        self._transact(study_id, lambda t: StudyEdits(t, study_id).set_trial_attrs(number, new))

    def cancel_trial(self, study_id: int, number: int, reason: str) -> bool:
        """End an unfinished trial as CANCELLED; return whether it was unfinished."""
        return self._transact(study_id, lambda t: StudyEdits(t, study_id).cancel(number, reason))

    def _exchange(self, study_id: int, request: ExchangeRequest) -> Exchange:
        texts = [written(op) for op in request.operations]
        answer, rows = self._transact(
            study_id, lambda t: _exchanged(t, study_id, request, texts), repeatable=True
        )
        return _with_changes(answer, rows, request.after)

    def exchange_many(
        self,
        study_id: int,
        requests: Sequence[ExchangeRequest],
        *,
        guard: ExchangeGuard | None = None,
    ) -> list[Exchange | InvalidArgument]:
        """Answer several workers in one transaction; a refused request does not affect others.

        Args:
            study_id: of the study.
            requests: one of each worker.
            guard: takes part in the transaction.
        """
        checked = [checked_exchange(r) for r in requests]

        def work(table: StudyTable) -> list[tuple[Exchange, list[Cells] | None] | InvalidArgument]:
            batch = BatchTable(table, requests)
            done = [
                texts
                if isinstance(texts, InvalidArgument)
                else _exchanged(cast(StudyTable, batch), study_id, request, texts, guard)
                for request, texts in zip(requests, checked, strict=True)
            ]
            batch.flush()
            if guard is not None:
                answers = [x if isinstance(x, InvalidArgument) else x[0] for x in done]
                guard.note(table, requests, answers)
            return done

        answers = self._transact(study_id, work, repeatable=True)
        return [
            answer if isinstance(answer, InvalidArgument) else _with_changes(*answer, r.after)
            for answer, r in zip(answers, requests, strict=True)
        ]

    def expire(self, study_id: int, leases: Sequence[tuple[int, int]]) -> None:
        """Expire the leases `(number, epoch)` now, for workers known to be dead."""

        def work(table: StudyTable) -> None:
            for number, epoch in known:
                table.expire(number, epoch)

        known = [(n, epoch) for n, epoch in leases if is_64_bit(n) and is_64_bit(epoch)]
        if known:
            self._transact(study_id, work, repeatable=True)


def _exchanged(
    table: StudyTable,
    study_id: int,
    request: ExchangeRequest,
    texts: Sequence[dict[str, Any]],
    guard: ExchangeGuard | None = None,
) -> tuple[Exchange, list[Cells] | None]:
    """Return the answer of an exchange and, undecoded, the trials that changed."""
    answer = ExchangeRun(table, study_id, request, guard).run(texts)
    return answer, None if request.after is None else table.changed(request.after)


def _with_changes(answer: Exchange, rows: list[Cells] | None, after: int | None) -> Exchange:
    # Damaged rows must not undo the exchange, so they are decoded after its commit.
    if rows is None or after is None:
        return answer
    return replace(answer, changes=changes_of(rows, after))
