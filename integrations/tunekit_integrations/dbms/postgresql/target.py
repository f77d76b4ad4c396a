"""A PostgreSQL server under tuning."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tunekit_integrations.dbms.capped import capped
from tunekit_integrations.dbms.catalogue import Catalogue, load_catalogue
from tunekit_integrations.dbms.postgresql.checking import check_settings
from tunekit_integrations.dbms.postgresql.cluster import PrivateCluster
from tunekit_integrations.dbms.postgresql.configuration import Configuration
from tunekit_integrations.dbms.postgresql.control import system_identifier
from tunekit_integrations.dbms.postgresql.counters import await_clients_gone, read_counters
from tunekit_integrations.dbms.postgresql.explaining import explain
from tunekit_integrations.dbms.postgresql.identity import (
    ResourceLimits,
    check_owner,
    instance_of,
    running_identity,
)
from tunekit_integrations.dbms.postgresql.plans import plan_digests
from tunekit_integrations.dbms.postgresql.preflight import preflight
from tunekit_integrations.dbms.postgresql.programs import find_programs
from tunekit_integrations.dbms.postgresql.server import ForeignServer, Server
from tunekit_integrations.dbms.postgresql.session import ReconnectingSession
from tunekit_integrations.dbms.postgresql.values import SettingRow, text_of
from tunekit_integrations.dbms.records import (
    Applied,
    Clamp,
    FailureKind,
    InForce,
    Instance,
    Measurement,
    Settings,
    SettingsCheck,
    Snapshot,
    TargetFailure,
)
from tunekit_integrations.dbms.target import Workload

ALIVE_S = 5.0
"""Seconds in which a server that is not frozen answers."""

_GONE = (FailureKind.LOST_CONNECTION, FailureKind.TIMEOUT)


class PostgreSQLTarget:
    """A server whose settings are changed by ALTER SYSTEM and brought back; a `KnobTarget`.

    Args:
        server: that is tuned; see `open_postgresql`.
        opened: durability knobs that the user opened by name.
        clients: sessions at once, which share memory.
        ram_bytes: budget of memory; needed where the server is on another machine.
        cpus: budget of processors; needed where the server is on another machine.
        catalogue: of knobs, that of tunekit if `None`.
    """

    def __init__(
        self,
        server: Server,
        *,
        opened: Collection[str] = (),
        clients: int = 8,
        ram_bytes: float | None = None,
        cpus: int | None = None,
        catalogue: Catalogue | None = None,
    ) -> None:
        self._server = server
        self._opened = frozenset(opened)
        self._clients = clients
        self._budget = ResourceLimits(int(ram_bytes) if ram_bytes else None, cpus)
        self._session = ReconnectingSession(server.url)
        self._configuration = Configuration(self._session, server)
        self._instance: Instance | None = None
        self._base: Snapshot | None = None
        self._base_in_force: Mapping[str, InForce] = {}
        self.catalogue = catalogue or load_catalogue("postgresql")

    @classmethod
    def provision(
        cls,
        *,
        version: int | None = None,
        programs: str | Path | None = None,
        configuration: Mapping[str, str] | None = None,
        **options: Any,
    ) -> PostgreSQLTarget:
        """Return a target over a new private cluster.

        Args:
            version: of the installed ones, the newest if `None`.
            programs: folder of other programs of PostgreSQL.
            configuration: settings of its postgresql.conf, such as shared_preload_libraries.
            options: of `PostgreSQLTarget`.

        Raises:
            InvalidArgument: PostgreSQL is not installed.
            TargetFailure: the cluster cannot be made.
        """
        found = Path(programs) if programs else find_programs(version)
        cluster = PrivateCluster(found, configuration=configuration)
        return cls._started(cluster, options)

    @classmethod
    def attach(cls, dsn: str, *, restart: str | None = None, **options: Any) -> PostgreSQLTarget:
        """Return a target over a server that somebody else runs.

        From PostgreSQL 15 on, a role needs no more than this, a superuser nothing:

            GRANT pg_read_all_settings TO tuner;
            GRANT ALTER SYSTEM ON PARAMETER work_mem, random_page_cost TO tuner;  -- and others
            GRANT SELECT ON pg_file_settings TO tuner;
            GRANT EXECUTE ON FUNCTION pg_show_all_file_settings(), pg_reload_conf() TO tuner;

        Args:
            dsn: connection string or URL.
            restart: command that restarts it; without one nothing is changed that takes a restart.
            options: of `PostgreSQLTarget`.

        Raises:
            InvalidArgument: libpq cannot read the DSN.
        """
        return cls(ForeignServer(dsn, restart=restart), **options)

    @classmethod
    def _started(cls, cluster: PrivateCluster, options: Mapping[str, Any]) -> PostgreSQLTarget:
        try:
            cluster.start()
            return cls(cluster, **options)
        except BaseException:
            cluster.close()
            raise

    @property
    def url(self) -> str:
        """Where a workload's client finds the database, without a password."""
        return self._server.url

    @property
    def instance(self) -> Instance:
        """The server, its machine and its features."""
        if self._instance is None:
            with self._explained():
                self._instance = instance_of(self._session, self._server, self._budget)
        return replace(self._instance, pid=self._server.pid)

    def in_force(self) -> Mapping[str, InForce]:
        """Return every knob of the catalogue that this server has, as it has it."""
        with self._explained():
            return self._in_force(self._rows())

    def _rows(self) -> Mapping[str, SettingRow]:
        instance = self.instance
        names = [
            name
            for name, knob in self.catalogue.knobs.items()
            if knob.is_known_to(instance.version)
            and (not knob.feature or knob.feature in instance.features)
            and not self.catalogue.is_closed(name)
        ]
        return self._configuration.rows(names)

    def _in_force(self, rows: Mapping[str, SettingRow]) -> Mapping[str, InForce]:
        found = self._configuration.in_force(self.catalogue, rows)
        values = capped({name: there.value for name, there in found.items()}, self.catalogue)
        return {name: replace(there, value=values[name]) for name, there in found.items()}

    def check(self, settings: Settings) -> SettingsCheck:
        """Judge settings and change nothing; the server's program judges them on a copy."""
        return self._check(settings, self.in_force(), asks_program=True)

    def _check(
        self, settings: Settings, in_force: Mapping[str, InForce], *, asks_program: bool
    ) -> SettingsCheck:
        def judged(shared_bytes: int = 0) -> SettingsCheck:
            return check_settings(
                settings,
                in_force,
                instance=self.instance,
                catalogue=self.catalogue,
                opened=self._opened,
                clients=self._clients,
                shared_bytes=shared_bytes,
            )

        found = judged()
        if not found.is_ok or not asks_program:
            return found
        texts = {n: text_of(self.catalogue.knobs[n], v) for n, v in settings.items()}
        told = preflight(self._server, texts, config_file=self._config_file())
        if told is None:
            return found
        if told.error:
            words = told.error.rpartition("FATAL:")[2].strip().splitlines()[0]
            return replace(found, errors=(f"the server would not start: {words}.",))
        return judged(told.shared_bytes)

    def _config_file(self) -> str:
        if self._server.is_private:
            return ""
        rows = self._session.run("SELECT setting FROM pg_settings WHERE name = 'config_file'")
        return str(rows[0][0]) if rows else ""

    def snapshot(self) -> Snapshot:
        """Return what ALTER SYSTEM has set of the catalogue; `apply` goes back to it."""
        in_force = self.in_force()
        with self._explained():
            folder, identifier = running_identity(self._session)
            texts = self._configuration.texts(in_force)
        identity = {"system_identifier": identifier, "data_directory": folder}
        self._base_in_force = in_force
        self._base = Snapshot("postgresql", identity, texts)
        return self._base

    def apply(self, settings: Settings) -> Applied:
        """Put settings in force, and back to the snapshot all that they do not name.

        Raises:
            TargetFailure: the settings are refused, or the server does not take them; the
                configuration of the snapshot is back by then, or the message says that not.
        """
        base = self._base or self.snapshot()
        self._check(settings, self._base_in_force, asks_program=False).refuse_errors()
        texts = dict(base.set_values)
        for name, value in settings.items():
            if not self._base_in_force[name].is_same(value):
                texts[name] = text_of(self.catalogue.knobs[name], value)
        try:
            with self._explained():
                return self._read_back(settings, self._put(texts))
        except TargetFailure as failure:
            self._revert_after(failure, base)
            raise

    def _revert_after(self, failure: TargetFailure, base: Snapshot) -> None:
        try:
            self.revert(base)
        except TargetFailure as other:
            failure.message += f" The configuration is not back yet: {other.message}"

    def _put(self, texts: Mapping[str, str | None]) -> Mapping[str, SettingRow]:
        """Write and put in force, with a restart where allowed and needed; return what is."""
        if self._configuration.write(texts):
            self._configuration.reload()
        rows = self._rows()
        if self._server.may_restart and any(row.pending_restart for row in rows.values()):
            self.restart()
            rows = self._rows()
        return rows

    def _read_back(self, settings: Settings, rows: Mapping[str, SettingRow]) -> Applied:
        there = self._in_force(rows)
        got = {
            name: value if there[name].chosen == value else there[name].value
            for name, value in settings.items()
        }
        pending = tuple(name for name in settings if rows[name].pending_restart)
        clamped = tuple(
            Clamp(name, value, got[name])
            for name, value in settings.items()
            if name not in pending and not there[name].is_same(value)
        )
        return Applied(got, clamped, pending)

    def restart(self) -> float:
        """Restart the server and return the seconds until it answered."""
        with suppress(TargetFailure):  # one that recovers from a crash may ignore a stop
            self._session.run("SELECT 1", timeout_s=ALIVE_S)
        started = time.perf_counter()
        self._session.close()
        self._server.restart()
        with self._explained():
            self._session.run("SELECT 1")
        return time.perf_counter() - started

    def crash(self) -> float:
        """Kill a private server, start it, and return its seconds of recovery."""
        if not isinstance(self._server, PrivateCluster):
            raise TargetFailure(FailureKind.INVALID, "only private servers are crashed.")
        self._session.close()
        self._server.kill()
        return self._server.start()

    def health(self) -> str:
        """Return "" for a server that answers, else a sentence."""
        try:
            with self._explained():
                self._session.run("SELECT 1", timeout_s=ALIVE_S)
        except TargetFailure as failure:
            return failure.message
        return ""

    def measure(
        self, workload: Workload, *, seconds: float, deadline_s: float, seed: int
    ) -> Measurement:
        """Run a slice of a workload, with the server's CPU, temporary and log bytes beside it."""
        with self._explained():
            before = read_counters(self._session, self._server.pid)
            found = workload.run(self.url, seconds=seconds, deadline_s=deadline_s, seed=seed)
            await_clients_gone(self._session)
            after = read_counters(self._session, self._server.pid)
        return after.added_to(found, before)

    def plan_signature(self, queries: Mapping[str, str]) -> Mapping[str, str]:
        """Return query -> digest of its plan without costs."""
        with self._explained():
            return plan_digests(self._session, queries)

    def revert(self, snapshot: Snapshot) -> None:
        """Bring the configuration of a snapshot back; safe to call twice, and on a dead server.

        Raises:
            TargetFailure: the snapshot is another server's, or this one is out of reach.
        """
        try:
            with self._explained():
                self._session.run("SELECT 1", timeout_s=ALIVE_S)
                check_owner(snapshot, *running_identity(self._session))
                self._put(snapshot.set_values)
        except TargetFailure as failure:
            if failure.kind not in (*_GONE, FailureKind.NO_START, FailureKind.OUT_OF_MEMORY):
                raise
            self._revert_dead(snapshot)

    def _revert_dead(self, snapshot: Snapshot) -> None:
        folder = snapshot.identity.get("data_directory", "")
        identifier = snapshot.identity.get("system_identifier", "")
        if isinstance(self._server, ForeignServer) and folder:
            self._server.locate(folder, identifier)
        if self._server.data_folder is not None:
            where = self._server.data_folder
            check_owner(snapshot, str(where), system_identifier(where))
        if isinstance(self._server, PrivateCluster):
            self._server.kill()
        self._configuration.edit(snapshot.set_values)
        if self._server.may_restart:
            self.restart()

    def close(self) -> None:
        """Let go; a private server is stopped and its folder deleted."""
        self._session.close()
        self._server.close()

    def clone(self) -> PostgreSQLTarget | None:
        """Return a twin with the same data; both are restarted for it."""
        if not isinstance(self._server, PrivateCluster):
            return None
        self._session.close()
        self._server.stop()
        try:
            twin = PrivateCluster(self._server.programs, data=self._server.data_folder)
        finally:
            self._server.start()
        options = {"opened": self._opened, "clients": self._clients, **asdict(self._budget)}
        made = self._started(twin, {**options, "catalogue": self.catalogue})
        made._instance = self.instance  # one machine: the disk that the copy took narrows no range
        return made

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Add the end of the log to failures of the server."""
        try:
            yield
        except TargetFailure as failure:
            explain(failure, self._server)
            raise


def open_postgresql(where: str, **options: Any) -> PostgreSQLTarget:
    """Return a target over the server of a URL, or over a new private one for "postgresql".

    Args:
        where: a connection string, or "postgresql".
        options: of `PostgreSQLTarget.attach` or `PostgreSQLTarget.provision`.

    Raises:
        InvalidArgument: it is not an address of PostgreSQL, or PostgreSQL is not installed.
        TargetFailure: a cluster cannot be made.
    """
    if where in ("postgresql", "postgres"):
        return PostgreSQLTarget.provision(**options)
    return PostgreSQLTarget.attach(where, **options)
