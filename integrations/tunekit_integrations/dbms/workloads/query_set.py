"""A workload of single queries: a slice is one pass over all of them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

import numpy as np

from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.latencies import percentiles
from tunekit_integrations.dbms.passes import grouped
from tunekit_integrations.dbms.postgresql.session import Row
from tunekit_integrations.dbms.records import Measurement
from tunekit_integrations.dbms.workloads.digests import result_digest
from tunekit_integrations.dbms.workloads.session import DeadlineReached, WorkloadSession, session


@dataclass(frozen=True, slots=True)
class Query:
    """A query of a set.

    Attributes:
        sql: one statement.
        weight: how often a pass runs it.
        order: positions of the columns that its result is ordered by.
        is_limited: whether it shows only the first of its rows.
    """

    sql: str
    weight: int = 1
    order: tuple[int, ...] = ()
    is_limited: bool = False


@dataclass(slots=True)
class _Pass:
    """What the clients of one pass have done so far."""

    executions: list[tuple[str, float]] = field(default_factory=list)
    results: dict[str, list[Row]] = field(default_factory=dict)
    is_censored: bool = False


class QuerySet:
    """Runs each query as often as its weight says, in an order drawn from the seed.

    Args:
        name: of the workload.
        queries: name -> query.
        clients: sessions that share a pass.
        is_read_only: whether the server refuses to change data in the sessions.

    Raises:
        InvalidArgument: no queries, or no clients.
    """

    is_query_set = True

    def __init__(
        self,
        name: str,
        queries: Mapping[str, Query],
        *,
        clients: int = 1,
        is_read_only: bool = True,
    ) -> None:
        if not queries or clients < 1:
            raise InvalidArgument(
                f'workload "{name}" has {len(queries)} queries and {clients} clients; '
                "it needs at least one of each."
            )
        self.name = name
        self.clients = clients
        self._queries = dict(queries)
        self._is_read_only = is_read_only

    def queries(self) -> Mapping[str, str]:
        """Return name -> SQL, to explain."""
        return {name: query.sql for name, query in self._queries.items()}

    def weights(self) -> Mapping[str, int]:
        """Return name -> how often a pass runs the query."""
        return {name: query.weight for name, query in self._queries.items()}

    def parts(self, seconds_of: Mapping[str, float], seconds: float) -> list[QuerySet]:
        """Split this set into parts that run for at least `seconds` each."""
        known = {name: seconds_of.get(name, 0.0) for name in self._queries}
        return [
            QuerySet(
                self.name,
                {name: self._queries[name] for name in names},
                clients=self.clients,
                is_read_only=self._is_read_only,
            )
            for names in grouped(known, seconds)
        ]

    def prepare(self, url: str) -> None:
        """Do nothing: the data are the user's."""

    def reset(self, url: str) -> None:
        """Do nothing: queries that only read change no data."""

    def warm(self, url: str) -> None:
        """Run a pass that nobody measures, for at most a minute."""
        self.run(url, seconds=0, deadline_s=60, seed=0)

    def run(self, url: str, *, seconds: float, deadline_s: float, seed: int) -> Measurement:
        """Run one pass, whatever `seconds` says.

        A pass that is cut off comes back censored: `per_query` then holds the queries that ended.

        Raises:
            TargetFailure: the server was lost, or refused any of the queries, as a pass that lacks
                one compares with no other.
        """
        names = [name for name, query in self._queries.items() for _ in range(query.weight)]
        todo: SimpleQueue[str] = SimpleQueue()
        for index in np.random.default_rng(seed).permutation(len(names)):
            todo.put(names[index])
        done = _Pass()
        start = time.monotonic()
        deadline = start + deadline_s
        if self.clients == 1:
            self._work(url, deadline, todo, done)
        else:
            with ThreadPoolExecutor(self.clients, "tunekit-workload") as clients:
                for client in [
                    clients.submit(self._work, url, deadline, todo, done)
                    for _ in range(self.clients)
                ]:
                    client.result()
        return self._measurement(done, time.monotonic() - start)

    def _work(self, url: str, deadline: float, todo: SimpleQueue[str], done: _Pass) -> None:
        try:
            with session(url, deadline=deadline, is_read_only=self._is_read_only) as client:
                self._take(client, todo, done)
        except DeadlineReached:
            done.is_censored = True

    def _take(self, client: WorkloadSession, todo: SimpleQueue[str], done: _Pass) -> None:
        while True:
            try:
                name = todo.get_nowait()
            except Empty:
                return
            rows, seconds = client.execute(self._queries[name].sql)
            done.executions.append((name, seconds))
            done.results.setdefault(name, rows)

    def _measurement(self, done: _Pass, seconds: float) -> Measurement:
        per_query: dict[str, float] = {}
        counts: dict[str, int] = {}
        for name, taken in done.executions:
            per_query[name] = per_query.get(name, 0.0) + taken
            counts[name] = counts.get(name, 0) + 1
        return Measurement(
            units=len(done.executions),
            seconds=seconds,
            latency_s=percentiles([taken for _, taken in done.executions]),
            executions=tuple([taken for _, taken in done.executions]),
            # A query that did not run as often as its weight says has no comparable time.
            per_query={n: s for n, s in per_query.items() if counts[n] == self._queries[n].weight},
            digests={
                name: result_digest(rows, order=query.order, is_limited=query.is_limited)
                for name, rows in done.results.items()
                for query in [self._queries[name]]
            },
            is_censored=done.is_censored,
        )
