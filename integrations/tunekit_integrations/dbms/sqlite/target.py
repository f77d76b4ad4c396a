"""Tunes a SQLite file: the library is the server, and each connection configures it."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunekit_integrations.dbms.catalogue import Catalogue, load_catalogue
from tunekit_integrations.dbms.checks import judge, memory_error
from tunekit_integrations.dbms.machine import this_machine
from tunekit_integrations.dbms.owned_process import scratch_folder
from tunekit_integrations.dbms.records import (
    Applied,
    FailureKind,
    InForce,
    Instance,
    Measurement,
    Settings,
    SettingsCheck,
    Snapshot,
    TargetFailure,
    Value,
)
from tunekit_integrations.dbms.sqlite.connection import (
    PRAGMAS,
    connected,
    failures_as_kinds,
    file_of,
    read_pragma,
    settings_of,
    url_of,
)
from tunekit_integrations.dbms.sqlite.recovery import die_in_a_transaction
from tunekit_integrations.dbms.target import Workload

_OF_THE_FILE = ("page_size", "journal_mode")
_MOST_THREADS = 8  # SQLITE_MAX_WORKER_THREADS of all builds in use
_MAX_SORTER_BYTES = 512 * 2**20  # SQLITE_MAX_PMASZ


class SqliteTarget:
    """Holds one SQLite file.

    Its own PRAGMAs (page size, write-ahead log) are changed in the file, all others are part of
    `url`, which every client of a workload opens the file with. An application takes them over by
    running the same PRAGMAs.

    Args:
        url: `sqlite:////path/to/file.db?cache_size=8192`, with the PRAGMAs that its application
            uses now, in the units of the catalogue.
        may_restart: whether the file may be rewritten (VACUUM) to change the size of its pages.
        opened: durability knobs that may be tuned.
        clients: connections at once, each with a cache of its own.
        ram_bytes: cap of the memory to be used.
        private_folder: folder to delete at `close`, of a file that was made for tuning.

    Raises:
        InvalidArgument: the URL is not a file's.
        TargetFailure: the file cannot be opened.
    """

    def __init__(
        self,
        url: str,
        *,
        may_restart: bool = False,
        opened: Collection[str] = (),
        clients: int = 1,
        ram_bytes: int | None = None,
        private_folder: Path | None = None,
    ) -> None:
        self._file = file_of(url)
        self._settings: dict[str, Value] = dict(settings_of(url))
        self._opened = frozenset(opened)
        self._clients = clients
        self._folder = private_folder
        self.instance = Instance(
            "sqlite",
            sqlite3.sqlite_version_info,
            this_machine(self._file.parent, ram_bytes=ram_bytes),
            is_private=private_folder is not None,
            may_restart=may_restart or private_folder is not None,
        )
        self.catalogue: Catalogue = load_catalogue("sqlite")
        self._defaults = _defaults()
        self._base = self.snapshot()

    @classmethod
    def provision(cls, **options: Any) -> SqliteTarget:
        """Return a target over an empty file in a scratch folder; `options` as above."""
        folder = scratch_folder("sqlite", user=None)
        file = folder / "data.db"
        file.touch()
        return cls(url_of(file, {}), private_folder=folder, **options)

    @property
    def url(self) -> str:
        """The file, with the PRAGMAs in force."""
        return url_of(self._file, self._settings)

    def in_force(self) -> Mapping[str, InForce]:
        """Return every knob of the catalogue, as a client of a workload would have it."""
        with connected(self.url) as connection:
            there = {n: read_pragma(connection, n) for n in PRAGMAS if n in self.catalogue.knobs}
        return {name: self._knob(name, value) for name, value in there.items()}

    def _knob(self, name: str, value: Value) -> InForce:
        knob = self.catalogue.knobs[name]
        is_number = knob.kind in ("int", "float")
        return InForce(
            value,
            self._defaults[name],
            knob.mode,
            lo=0 if is_number else None,
            hi=_MOST_THREADS if name == "threads" else 2**31 - 1 if is_number else None,
            choices=knob.choices,
            is_set=name in self._settings or value != self._defaults[name],
        )

    def check(self, settings: Settings) -> SettingsCheck:
        """Judge settings by the catalogue, the memory they take, and the disk a rewrite takes."""
        in_force = self.in_force()
        found = judge(
            settings,
            in_force,
            catalogue=self.catalogue,
            opened=self._opened,
            may_restart=self.instance.may_restart,
        )
        memory = self._memory({**{n: k.value for n, k in in_force.items()}, **settings})
        errors = list(found.errors)
        warnings = []
        if found.is_ok and (error := memory_error(memory, self.instance.machine)):
            errors.append(error)
        size = self._file.stat().st_size
        if "page_size" in found.needs_restart and 2 * size > shutil.disk_usage(self._file).free:
            errors.append(
                f"page_size: to rewrite the file takes {2 * size} free bytes; free some."
            )
        if "wal_autocheckpoint" in settings and "wal_autocheckpoint" not in found.unchanged:
            warnings.append("wal_autocheckpoint: a longer log takes longer to recover.")
        return replace(found, errors=tuple(errors), memory_bytes=memory, warnings=tuple(warnings))

    def _memory(self, values: Mapping[str, Value]) -> int:
        try:
            cache, threads = int(values["cache_size"]) * 1024, int(values["threads"])
        except (TypeError, ValueError, OverflowError):
            return 0  # an error says what is wrong with it
        return self._clients * (cache + min(cache, _MAX_SORTER_BYTES) * (1 + max(threads, 0)))

    def snapshot(self) -> Snapshot:
        """Return the file's own PRAGMAs, and those of the URL."""
        with connected(url_of(self._file, {})) as connection:
            own: dict[str, str | None] = {
                name: str(read_pragma(connection, name)) for name in _OF_THE_FILE
            }
        rest = {n: self._settings.get(n) for n in PRAGMAS if n not in _OF_THE_FILE}
        values = {n: None if v is None else str(v) for n, v in rest.items()}
        self._base = Snapshot("sqlite", {"file": str(self._file)}, {**own, **values})
        return self._base

    def apply(self, settings: Settings) -> Applied:
        """Put settings in force for all connections that open `url` from now on."""
        self.check(settings).refuse_errors()
        self._put(settings)
        return Applied.of(settings, self.in_force())

    def _put(self, settings: Settings) -> None:
        """Put settings in force, and for all other knobs what the snapshot has."""
        base = {name: v for name, v in self._base.set_values.items() if v is not None}
        own = {n: v for n, v in settings.items() if n in base or v != self._defaults[n]}
        wanted: Settings = {**base, **own}
        with connected(url_of(self._file, {})) as connection:
            if str(read_pragma(connection, "page_size")) != str(wanted["page_size"]):
                # With a write-ahead log the size of a page is fixed.
                connection.execute("PRAGMA journal_mode = delete")
                connection.execute(f"PRAGMA page_size = {int(wanted['page_size'])}")
                connection.execute("VACUUM")
            connection.execute(f"PRAGMA journal_mode = {wanted['journal_mode']}")
        self._settings = {n: v for n, v in wanted.items() if n != "page_size"}

    def restart(self) -> float:
        """Reopen the file and return the seconds until it answered."""
        started = time.perf_counter()
        with connected(self.url) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return time.perf_counter() - started

    def crash(self) -> float:
        """Kill a writer within a transaction and return the seconds of recovery."""
        if not self.instance.is_private:
            raise TargetFailure(
                FailureKind.INVALID, f"{self._file} is not a private file; only those are crashed."
            )
        die_in_a_transaction(self.url)
        return self.restart()

    def health(self) -> str:
        """Return "" for a sound file, else a sentence."""
        try:
            with connected(self.url) as connection:
                (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except TargetFailure as failure:
            return failure.message
        return "" if verdict == "ok" else f"{self._file} is damaged: {verdict}."

    def measure(
        self, workload: Workload, *, seconds: float, deadline_s: float, seed: int
    ) -> Measurement:
        """Run a slice; the CPU time is that of this process, in which SQLite works."""
        with failures_as_kinds():
            before = time.process_time()
            found = workload.run(self.url, seconds=seconds, deadline_s=deadline_s, seed=seed)
            used = time.process_time() - before
        return found if found.cpu_seconds is not None else replace(found, cpu_seconds=used)

    def plan_signature(self, queries: Mapping[str, str]) -> Mapping[str, str]:
        """Return query -> digest of its plan."""
        plans = {}
        with connected(self.url) as connection:
            for name, sql in queries.items():
                rows = connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
                plan = "\n".join(str(row[3]) for row in rows)
                plans[name] = hashlib.sha256(plan.encode()).hexdigest()[:16]
        return plans

    def revert(self, snapshot: Snapshot) -> None:
        """Bring back the PRAGMAs of the file, and of `url`."""
        owner = snapshot.identity.get("file")
        if snapshot.system != "sqlite" or owner != str(self._file):
            raise TargetFailure(
                FailureKind.INVALID,
                f"the snapshot is of {snapshot.system} {owner}, not of {self._file}; give that.",
            )
        self._base = snapshot
        self._put({})

    def close(self) -> None:
        """Let go; a private file is deleted."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def clone(self) -> SqliteTarget:
        """Return a target over a copy of the file, with the PRAGMAs of the snapshot."""
        twin = SqliteTarget.provision(
            opened=self._opened, clients=self._clients, ram_bytes=self.instance.machine.ram_bytes
        )
        # One machine: the disk that the copy takes narrows no range.
        twin.instance = replace(twin.instance, machine=self.instance.machine)
        with connected(url_of(self._file, {})) as source, connected(twin.url) as copy:
            source.backup(copy)
        twin._base = replace(self._base, identity={"file": str(twin._file)})
        twin._put({})
        return twin


def open_sqlite(where: str, **options: Any) -> SqliteTarget:
    """Return a target over the file of a URL, or over a new private one for "sqlite".

    `options` are those of `SqliteTarget`.

    Raises:
        InvalidArgument: it is not a URL of a file.
        TargetFailure: the file cannot be opened.
    """
    return (
        SqliteTarget.provision(**options) if where == "sqlite" else SqliteTarget(where, **options)
    )


def _defaults() -> Mapping[str, Value]:
    """Return the knobs of a new file, as this build of the library has them."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "new.db"
        file.touch()
        with connected(url_of(file, {})) as connection:
            return {name: read_pragma(connection, name) for name in PRAGMAS}
