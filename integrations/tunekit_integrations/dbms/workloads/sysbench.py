"""Runs the transactions of sysbench on MariaDB, MySQL or PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from tunekit.errors import InvalidArgument, did_you_mean
from tunekit_integrations.dbms.latencies import PERCENTILES
from tunekit_integrations.dbms.mariadb.connection import address_of, connected, password_for
from tunekit_integrations.dbms.records import FailureKind, Measurement, TargetFailure
from tunekit_integrations.dbms.workloads.session import session

SCRIPTS = {
    "read_write": "oltp_read_write",
    "read_only": "oltp_read_only",
    "point_select": "oltp_point_select",
    "write_only": "oltp_write_only",
    "update_index": "oltp_update_index",
    "update_non_index": "oltp_update_non_index",
}
"""Name of a workload -> script of sysbench."""

PREPARE_S = 900.0
_READ_ONLY = ("read_only", "point_select")

_BUCKET = re.compile(r"^\s*([0-9.]+) \|\**\s+(\d+)\s*$", re.MULTILINE)
_COUNTS = re.compile(r"^\s*(transactions|ignored errors|total time):\s+([0-9.]+)", re.MULTILINE)
_INTERVAL = re.compile(r"^\[ \d+s \] thds: \d+ tps: ([0-9.]+)", re.MULTILINE)
_FATAL = re.compile(r"^FATAL: (.*)$", re.MULTILINE)
_LOST = ("unable to connect", "Lost connection", "gone away", "server closed", "terminat")

_RANGE = "FROM sbtest1 WHERE id BETWEEN 100 AND 199"
_QUERIES = {
    "point": "SELECT c FROM sbtest1 WHERE id = 100",
    "range": f"SELECT c {_RANGE}",
    "sum": f"SELECT SUM(k) {_RANGE}",
    "order": f"SELECT c {_RANGE} ORDER BY c",
    "distinct": f"SELECT DISTINCT c {_RANGE} ORDER BY c",
}


class Sysbench:
    """Transactions on a few equal tables; a unit is a transaction.

    Args:
        script: a key of `SCRIPTS`.
        tables: of 200 bytes a row.
        rows: of each table.
        clients: sessions at once.
        program: of sysbench, `None` for the installed one.

    Raises:
        InvalidArgument: there is no such script, or sysbench is not installed.
    """

    is_query_set = False

    def __init__(
        self,
        script: str = "read_write",
        *,
        tables: int = 4,
        rows: int = 25_000,
        clients: int = 4,
        program: str | None = None,
    ) -> None:
        if script not in SCRIPTS:
            raise InvalidArgument(
                f'sysbench has no workload "{script}"{did_you_mean(script, list(SCRIPTS))}; '
                f"expected one of {', '.join(SCRIPTS)}."
            )
        found = shutil.which(program or "sysbench")
        if found is None:
            raise InvalidArgument("sysbench is not installed; install the package sysbench.")
        self.name = f"sysbench {script}"
        self.clients = clients
        self._script = script
        self._tables = tables
        self._rows = rows
        self._program = found

    def queries(self) -> Mapping[str, str]:
        """Return the shapes of its reads."""
        names = ["point"] if self._script == "point_select" else list(_QUERIES)
        return (
            {} if self._script.startswith(("write", "update")) else {n: _QUERIES[n] for n in names}
        )

    def prepare(self, url: str) -> None:
        """Fill the tables, unless they are there with all their rows.

        Raises:
            TargetFailure: sysbench or the server failed.
        """
        if not self._is_prepared(url):
            self._fill(url)

    def reset(self, url: str) -> None:
        """Refill the tables if the script writes to them."""
        if self._script not in _READ_ONLY:
            self._fill(url)

    def warm(self, url: str) -> None:
        """Read every table."""
        for table in range(1, self._tables + 1):
            _ask(url, f"SELECT SUM(k), MAX(c), MAX(pad) FROM sbtest{table}")  # noqa: S608 - our own

    def _fill(self, url: str) -> None:
        self._run(url, "cleanup", timeout_s=PREPARE_S)
        self._run(url, "prepare", timeout_s=PREPARE_S)

    def _is_prepared(self, url: str) -> bool:
        last = f"sbtest{self._tables}"
        known = "SELECT COUNT(*) FROM information_schema.tables WHERE table_name = "
        if not _ask(url, f"{known}'{last}'") or _ask(url, f"{known}'sbtest{self._tables + 1}'"):
            return False
        return _ask(url, f"SELECT COUNT(*) FROM {last}") == self._rows  # noqa: S608 - our own

    def run(self, url: str, *, seconds: float, deadline_s: float, seed: int) -> Measurement:
        """Run transactions for a time; at the deadline they are cut off.

        Raises:
            TargetFailure: the server was lost, or refused the work.
        """
        started = time.perf_counter()
        options = [
            f"--time={max(1, round(seconds))}",  # sysbench counts whole seconds
            f"--rand-seed={seed + 1}",  # 0 would draw by the clock
            "--histogram=on",
            "--report-interval=1",
        ]
        try:
            told = self._run(url, "run", *options, timeout_s=deadline_s)
        except subprocess.TimeoutExpired as cut:
            output = cut.stdout or b""
            text = output.decode(errors="replace") if isinstance(output, bytes) else output
            done = sum(float(tps) for tps in _INTERVAL.findall(text))
            return Measurement(round(done), time.perf_counter() - started, is_censored=True)
        return read_report(told)

    def _run(self, url: str, command: str, *options: str, timeout_s: float) -> str:
        with _address_file(url) as address:
            done = subprocess.run(  # noqa: S603 - our own arguments, no shell
                [
                    self._program,
                    SCRIPTS[self._script],
                    f"--config-file={address}",
                    f"--tables={self._tables}",
                    f"--table-size={self._rows}",
                    f"--threads={1 if command != 'run' else self.clients}",
                    *options,
                    command,
                ],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_s if command == "run" else PREPARE_S,
                env={**os.environ, **_environment(url)},
                check=False,
            )
        if done.returncode:
            raise _failure(done.stdout + done.stderr)
        return done.stdout


def read_report(text: str) -> Measurement:
    """Return what a report of sysbench with a histogram says.

    Raises:
        TargetFailure: it is not such a report.
    """
    counts = {name: float(number) for name, number in _COUNTS.findall(text)}
    buckets = [(float(ms) / 1000, int(count)) for ms, count in _BUCKET.findall(text)]
    if not {"transactions", "total time"} <= set(counts):
        raise TargetFailure(
            FailureKind.INVALID, "sysbench told no count of transactions.", log=text[-2000:]
        )
    return Measurement(
        units=round(counts["transactions"]),
        seconds=counts["total time"],
        latency_s=_percentiles(buckets),
        errors=round(counts.get("ignored errors", 0)),
    )


def _percentiles(buckets: list[tuple[float, int]]) -> dict[int, float]:
    if not buckets:
        return {}
    seconds, counts = zip(*buckets, strict=True)
    total = np.cumsum(counts)
    found = np.searchsorted(total, np.array(PERCENTILES) / 100 * total[-1])
    return {p: float(seconds[i]) for p, i in zip(PERCENTILES, found, strict=True)}


def _failure(text: str) -> TargetFailure:
    fatal = _FATAL.findall(text)
    why = next((line for line in fatal if "error" in line), (*fatal, "it does not say why")[0])
    is_lost = any(sign in text for sign in _LOST)
    kind = FailureKind.LOST_CONNECTION if is_lost else FailureKind.INVALID
    return TargetFailure(kind, f"sysbench failed: {why}", log=text[-4000:])


@contextlib.contextmanager
def _address_file(url: str) -> Iterator[Path]:
    """Give a file with the server's address, as other users can see a program's arguments."""
    options = _options_of_postgresql(url) if _is_postgresql(url) else _options_of_mysql(url)
    with tempfile.TemporaryDirectory(prefix="tunekit-sysbench-") as folder:
        file = Path(folder) / "address"
        text = "".join(f"{name}={_quoted(value)}\n" for name, value in options.items())
        file.write_text(text, encoding="utf-8")
        yield file


def _quoted(value: str) -> str:
    """Return a value as sysbench reads it whole: it knows no escapes, only two kinds of quotes."""
    return f"'{value}'" if '"' in value else f'"{value}"'


def _is_postgresql(url: str) -> bool:
    return not url.startswith(("mariadb:", "mysql:"))


def _options_of_mysql(url: str) -> dict[str, str]:
    address = address_of(url)
    where = (
        {"mysql-socket": address.socket}
        if address.socket
        else {"mysql-host": address.host, "mysql-port": str(address.port)}
    )
    who = {"mysql-user": address.user, "mysql-password": password_for(address)}
    return {"db-driver": "mysql", **where, **who, "mysql-db": address.database}


def _options_of_postgresql(url: str) -> dict[str, str]:
    given = _parsed(url)
    names = {"host": "localhost", "port": "5432", "user": "postgres", "dbname": "postgres"}
    found = {name: given.get(name, default) for name, default in names.items()}
    found["db"] = found.pop("dbname")
    return {"db-driver": "pgsql", **{f"pgsql-{name}": text for name, text in found.items()}}


def _parsed(url: str) -> dict[str, str]:
    from psycopg2.extensions import parse_dsn

    return dict(parse_dsn(url))


def _environment(url: str) -> dict[str, str]:
    """Return where libpq finds a password that is not in the URL."""
    file = _parsed(url).get("passfile") if _is_postgresql(url) else None
    return {"PGPASSFILE": str(file)} if file else {}


def _ask(url: str, sql: str) -> float:
    """Return the first number that a query gives."""
    if _is_postgresql(url):
        with session(url, deadline=time.monotonic() + PREPARE_S) as opened:
            rows, _ = opened.execute(sql)
    else:
        with connected(url, read_timeout_s=PREPARE_S) as connection:
            rows = connection.rows(sql)
    return float(rows[0][0] or 0)
