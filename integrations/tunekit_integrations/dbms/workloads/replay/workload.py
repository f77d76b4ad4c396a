"""The recorded statements as a workload."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tunekit.checks import check_whole
from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.postgresql.session import ReconnectingSession
from tunekit_integrations.dbms.records import FailureKind, Measurement, TargetFailure
from tunekit_integrations.dbms.workloads.query_set import Query, QuerySet
from tunekit_integrations.dbms.workloads.replay.parameters import (
    NotReplayed,
    columns_of,
    filled,
    parsed,
    slots_of,
    with_casts,
)
from tunekit_integrations.dbms.workloads.replay.recorded import Recorded, recorded_statements
from tunekit_integrations.dbms.workloads.statements import is_limited, order_columns

MOST_OFTEN = 20
"""Most runs of a statement in a pass; the rarest one that is replayed runs once."""

VARIANTS = 3
"""Sets of parameters that a statement is replayed with."""


class StatementReplay:
    """Replays the statements that took most of a server's time, as often as they were called.

    Only statements that read are replayed, in sessions that cannot write. What their constants
    were is not recorded: values are drawn from the statistics of the columns that they are
    compared with. `left_out` says which statements cannot be replayed, and why.

    Args:
        top: statements by total time that are looked at.
        clients: sessions that share a pass.
        seed: of the values drawn.

    Attributes:
        left_out: statement -> why it is not replayed; filled by `prepare`.
        share: of the recorded time that is replayed.

    Raises:
        InvalidArgument: a number is out of range.
    """

    is_query_set = True

    def __init__(self, *, top: int = 20, clients: int = 1, seed: int = 0) -> None:
        check_whole(top, "top", low=1)
        check_whole(clients, "clients", low=1)
        self.name = f"replay of {top} statements"
        self.clients = clients
        self.left_out: Mapping[str, str] = {}
        self.share = 0.0
        self._top = top
        self._seed = seed
        self._set: QuerySet | None = None

    def prepare(self, url: str) -> None:
        """Read the statements and draw their parameters; done once.

        Raises:
            InvalidArgument: pg_stat_statements is not installed, or nothing can be replayed.
            TargetFailure: the server was lost.
        """
        if self._set is not None:
            return
        session = ReconnectingSession(url)
        try:
            self._set = self._chosen(session)
        finally:
            session.close()

    def queries(self) -> Mapping[str, str]:
        """Return the statements with their values; nothing before `prepare`."""
        return {} if self._set is None else self._set.queries()

    def weights(self) -> Mapping[str, int]:
        """Return how often a pass runs each of them."""
        return {} if self._set is None else self._set.weights()

    def warm(self, url: str) -> None:
        """Run a pass that nobody measures."""
        self._prepared().warm(url)

    def run(self, url: str, *, seconds: float, deadline_s: float, seed: int) -> Measurement:
        """Run one pass.

        Raises:
            TargetFailure: the server was lost, or refused a statement.
        """
        return self._prepared().run(url, seconds=seconds, deadline_s=deadline_s, seed=seed)

    def parts(self, seconds_of: Mapping[str, float], seconds: float) -> list[QuerySet]:
        """Split a pass into parts that run for at least `seconds` each."""
        return self._prepared().parts(seconds_of, seconds)

    def reset(self, url: str) -> None:
        """Do nothing: only statements that read are replayed."""

    def _prepared(self) -> QuerySet:
        if self._set is None:
            raise InvalidArgument("prepare the replay with the URL of a database first.")
        return self._set

    def _chosen(self, session: ReconnectingSession) -> QuerySet:
        rng = np.random.default_rng(self._seed)
        recorded = recorded_statements(session)
        session.run("SET default_transaction_read_only = on")
        replayed: list[tuple[Recorded, list[str]]] = []
        left_out = {}
        for statement in recorded[: self._top]:
            try:
                replayed.append((statement, list(_variants(session, statement, rng))))
            except NotReplayed as reason:
                left_out[statement.sql] = str(reason)
        self.left_out = left_out
        if not replayed:
            raise InvalidArgument(
                f"none of {len(left_out)} recorded statements can be replayed: "
                f"{'; '.join(sorted(set(left_out.values()))) or 'there are none'}."
            )
        total = sum(statement.seconds for statement in recorded)
        self.share = sum(s.seconds for s, _ in replayed) / total if total else 0.0
        return QuerySet(self.name, _weighted(replayed), clients=self.clients)


def _variants(
    session: ReconnectingSession, recorded: Recorded, rng: np.random.Generator
) -> Iterator[str]:
    """Yield the statement with values, as the server's planner accepts it."""
    from sqlglot import exp

    statement = replace(recorded, sql=with_casts(recorded.sql))
    tree = parsed(statement.sql)
    if not isinstance(tree, exp.Query) or tree.find(exp.DML, exp.Lock, exp.Into):
        raise NotReplayed("it does not only read")
    slots = slots_of(statement.sql)
    columns = columns_of(session, slots)
    for _ in range(VARIANTS if slots else 1):
        sql = filled(statement, slots, columns, rng)
        try:
            session.run(f"EXPLAIN {sql}")
        except TargetFailure as failure:
            if failure.kind is not FailureKind.INVALID:
                raise
            raise NotReplayed(failure.message) from None
        yield sql


def _weighted(replayed: Sequence[tuple[Recorded, list[str]]]) -> dict[str, Query]:
    rarest = min(statement.calls for statement, _ in replayed)
    found = {}
    for statement, variants in replayed:
        runs = min(max(round(statement.calls / max(rarest, 1)), 1), MOST_OFTEN)
        for k, sql in enumerate(variants[:runs]):
            weight = runs // len(variants) + (k < runs % len(variants))
            found[f"{statement.key}/{k + 1}"] = Query(
                sql, weight, order=order_columns(sql), is_limited=is_limited(sql)
            )
    return found
