"""Takes part in the transaction of a project's exchanges: quotas before, audit after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunekit.service.access.audit_log import note_exchanges
from tunekit.service.access.origin import RequestOrigin
from tunekit.service.access.quotas import QuotaBook, gpus_of, read_quotas, running_in, used_up
from tunekit.storages.base import Exchange, ExchangeRequest
from tunekit.storages.batch_table import BatchTable
from tunekit.storages.http.oversight_messages import Quotas
from tunekit.storages.sql.table import SQLTable
from tunekit.storages.table import StudyTable

_ROUNDING = 1e-9
"""Of sums of fractions of a GPU."""


class ClaimGuard:
    """Guards the exchanges of one batch; each batch gets its own.

    Args:
        book: knows the quotas.
        project: name.
        study_id: of the study.
        origins: of the requests, in their order.
    """

    def __init__(
        self, book: QuotaBook, project: str, study_id: int, *, origins: Sequence[RequestOrigin]
    ) -> None:
        self._project = project
        self._study_id = study_id
        self._origins = origins
        self._has_quotas = book.of(project) is not None
        self._full = book.refusal_to_store(project) if self._has_quotas else ""

    def allowed(self, table: StudyTable, n: int) -> tuple[int, str]:
        """Return how many of `n` trials a claim may take now, and why not all of them."""
        if not self._has_quotas:
            return n, ""
        if self._full:
            return 0, self._full
        if isinstance(table, BatchTable):  # trials that others of the batch took count, too
            table = table.written()
        assert isinstance(table, SQLTable)
        quotas = read_quotas(table.cursor, self._project, lock=True)
        if quotas is None:  # taken away since
            return n, ""
        return self._counted(table, quotas, n)

    def note(
        self,
        table: StudyTable,
        requests: Sequence[ExchangeRequest],
        answers: Sequence[Exchange | Exception],
    ) -> None:
        """Write what was done into the audit log."""
        assert isinstance(table, SQLTable)
        note_exchanges(
            table.cursor, self._project, self._study_id,
            origins=self._origins, requests=requests, answers=answers,
        )  # fmt: skip

    def _counted(self, table: SQLTable, quotas: Quotas, n: int) -> tuple[int, str]:
        has_gpus = quotas.gpus is not None
        running, gpus = running_in(table.cursor, self._project, with_gpus=has_gpus)
        limits = []
        if quotas.running is not None:
            limits.append(_Limit(quotas.running - running, running, quotas.running, "trials"))
        each = gpus_of(table.study_attrs()) if quotas.gpus is not None else 0.0
        if quotas.gpus is not None and each:
            free = int((quotas.gpus - gpus) / each + _ROUNDING)
            limits.append(_Limit(free, gpus, quotas.gpus, "GPUs"))
        tightest = min(limits, key=lambda x: x.free, default=None)
        if tightest is None or tightest.free >= n:
            return n, ""
        why = used_up(self._project, tightest.used, tightest.quota, tightest.what)
        return max(tightest.free, 0), why


@dataclass(frozen=True, slots=True)
class _Limit:
    free: int
    used: float
    quota: float
    what: str
