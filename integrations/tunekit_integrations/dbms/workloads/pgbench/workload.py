"""pgbench as a workload: a slice is a time."""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from tunekit.checks import check_whole
from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.latencies import percentiles
from tunekit_integrations.dbms.records import FailureKind, Measurement, TargetFailure
from tunekit_integrations.dbms.workloads.pgbench.log import read_log, transactions_per_second
from tunekit_integrations.dbms.workloads.pgbench.program import (
    failure_of,
    find_pgbench,
    run_pgbench,
)
from tunekit_integrations.dbms.workloads.session import (
    FROZEN_AFTER_S,
    as_failures,
    connect,
)

BuiltIn: TypeAlias = Literal["tpcb-like", "simple-update", "select-only"]
QueryMode: TypeAlias = Literal["simple", "extended", "prepared"]

LOAD_TIMEOUT_S = 3600.0
WARM_SLICE_S = 1.0


class Pgbench:
    """Runs transactions of pgbench for a time, drawn by their weights.

    Built-in scripts work on tables in a schema of their own, `tunekit_pgbench`; nothing else in
    the database is touched. Scripts of one's own work on whatever they name: what they change
    stays changed.

    Args:
        scripts: built-in name, or path of a script -> weight.
        scale: of the built-in tables, 100,000 accounts each.
        clients: sessions at once.
        query_mode: how statements are sent.
        program: path of pgbench; the server's own, or that on PATH, if `None`.

    Raises:
        InvalidArgument: a script does not exist, or a number is out of range.
    """

    is_query_set = False

    def __init__(
        self,
        scripts: Mapping[str, int] | None = None,
        *,
        scale: int = 10,
        clients: int = 8,
        query_mode: QueryMode = "prepared",
        program: Path | None = None,
    ) -> None:
        self._scripts = dict(scripts or {"tpcb-like": 1})
        for script, weight in self._scripts.items():
            if script not in get_args(BuiltIn) and not Path(script).is_file():
                raise InvalidArgument(
                    f'"{script}" is not a script of pgbench; give a file, or one of '
                    f"{', '.join(get_args(BuiltIn))}."
                )
            check_whole(weight, f"weight of {script}", low=1)
        check_whole(scale, "scale", low=1)
        check_whole(clients, "clients", low=1)
        if query_mode not in get_args(QueryMode):
            expected = ", ".join(get_args(QueryMode))
            raise InvalidArgument(f'query_mode "{query_mode}", expected one of {expected}.')
        self._scale = scale
        self._query_mode = query_mode
        self._program = program
        self.clients = clients
        shown = [s if s in get_args(BuiltIn) else Path(s).name for s in self._scripts]
        self.name = f"pgbench {' + '.join(shown)}"

    @property
    def _uses_tables(self) -> bool:
        return any(script in get_args(BuiltIn) for script in self._scripts)

    @property
    def _options(self) -> dict[str, str]:
        # Scripts of one's own beside built-in ones still find their own tables.
        return {"search_path": 'tunekit_pgbench,"$user",public'} if self._uses_tables else {}

    def queries(self) -> Mapping[str, str]:
        """Return nothing: scripts hold variables that only pgbench fills."""
        return {}

    def prepare(self, url: str) -> None:
        """Load the built-in tables; does nothing if they are there.

        Raises:
            TargetFailure: the server refused them, or was lost.
        """
        if self._uses_tables and not self._is_loaded(url):
            self._load(url)

    def reset(self, url: str) -> None:
        """Reload the built-in tables, unless all scripts only read them.

        Raises:
            TargetFailure: the server refused them, or was lost.
        """
        if self._uses_tables and set(self._scripts) != {"select-only"}:
            self._load(url)

    def warm(self, url: str) -> None:
        """Read the accounts through the shared buffers, or run scripts of one's own for a second.

        Raises:
            TargetFailure: the server was lost.
        """
        if not self._uses_tables:
            self.run(url, seconds=WARM_SLICE_S, deadline_s=60 * WARM_SLICE_S, seed=0)
            return
        # A sequential scan of a large table would pass by the shared buffers.
        options = {**self._options, "enable_seqscan": "off", "enable_bitmapscan": "off"}
        connection = connect(url, options=options)
        try:
            with as_failures(), connection.cursor() as cursor:
                cursor.execute("SET max_parallel_workers_per_gather = 0")
                cursor.execute("SELECT sum(abalance) FROM pgbench_accounts WHERE aid > 0")
        finally:
            connection.close()

    def run(self, url: str, *, seconds: float, deadline_s: float, seed: int) -> Measurement:
        """Run transactions for a time, rounded up to whole seconds as pgbench knows no others.

        Raises:
            TargetFailure: the server was lost, or clients of pgbench gave up.
        """
        slice_s = max(math.ceil(seconds), 1)
        with tempfile.TemporaryDirectory(prefix="tunekit-pgbench-") as folder:
            start = time.monotonic()
            finished = run_pgbench(
                self._program or find_pgbench(url),
                [*self._arguments(seed), "-T", str(slice_s), f"--log-prefix={folder}/log"],
                url,
                options={
                    **self._options,
                    "statement_timeout": str(max(math.ceil(deadline_s * 1000), 1)),
                },
                timeout_s=deadline_s + FROZEN_AFTER_S,
            )
            taken = time.monotonic() - start
            log = read_log(Path(folder))
        is_censored = finished.code is None or taken >= deadline_s
        if finished.code and not is_censored:
            raise failure_of(finished)
        rate = transactions_per_second(finished.output)
        return Measurement(
            units=len(log.latencies_s),
            seconds=len(log.latencies_s) / rate if rate and not is_censored else taken,
            latency_s=percentiles(log.latencies_s),
            errors=log.failed,
            is_censored=is_censored,
        )

    def _arguments(self, seed: int) -> list[str]:
        threads = min(self.clients, os.cpu_count() or 1)
        scripts = [
            f"--{'builtin' if script in get_args(BuiltIn) else 'file'}={script}@{weight}"
            for script, weight in self._scripts.items()
        ]
        return [
            *("--no-vacuum", "--log", f"--protocol={self._query_mode}", *scripts),
            *(f"--client={self.clients}", f"--jobs={threads}", f"--random-seed={seed}"),
        ]

    def _mark(self) -> str:
        return f"pgbench at scale {self._scale}, loaded by tunekit"

    def _is_loaded(self, url: str) -> bool:
        row = _first(
            url,
            "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace "
            "WHERE nspname = 'tunekit_pgbench'",
        )
        return row == (self._mark(),)

    def _load(self, url: str) -> None:
        _first(url, "CREATE SCHEMA IF NOT EXISTS tunekit_pgbench")
        _first(url, "COMMENT ON SCHEMA tunekit_pgbench IS 'not complete'")
        finished = run_pgbench(
            self._program or find_pgbench(url),
            ["--initialize", "--quiet", f"--scale={self._scale}"],
            url,
            options={"search_path": "tunekit_pgbench"},
            timeout_s=LOAD_TIMEOUT_S,
        )
        if finished.code is None:
            message = f"the tables of pgbench were not loaded within {LOAD_TIMEOUT_S:.0f} s."
            raise TargetFailure(FailureKind.TIMEOUT, message)
        if finished.code:
            raise failure_of(finished)
        _first(url, f"COMMENT ON SCHEMA tunekit_pgbench IS '{self._mark()}'")


def _first(url: str, statement: str) -> tuple[object, ...] | None:
    connection = connect(url)
    try:
        with as_failures(), connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone() if cursor.description else None
    finally:
        connection.close()
