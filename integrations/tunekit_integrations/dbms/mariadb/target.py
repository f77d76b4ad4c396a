"""Tunes a MariaDB or MySQL server."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunekit_integrations.dbms.catalogue import Catalogue
from tunekit_integrations.dbms.counters import Counters
from tunekit_integrations.dbms.mariadb import plans
from tunekit_integrations.dbms.mariadb.assignments import assign, is_same
from tunekit_integrations.dbms.mariadb.attached_server import AttachedServer
from tunekit_integrations.dbms.mariadb.checking import check_settings, in_force_of
from tunekit_integrations.dbms.mariadb.connection import (
    AutocommitConnection,
    address_of,
    connected,
)
from tunekit_integrations.dbms.mariadb.counters import read_counters
from tunekit_integrations.dbms.mariadb.facts import Facts, ask_facts, check_identity
from tunekit_integrations.dbms.mariadb.option_file import options_text, read_text, write_whole
from tunekit_integrations.dbms.mariadb.persisted import persist, read_persisted
from tunekit_integrations.dbms.mariadb.private_server import PrivateServer
from tunekit_integrations.dbms.mariadb.programs import find_programs
from tunekit_integrations.dbms.mariadb.variables import (
    POOL,
    Variable,
    read_variables,
    text_of,
)
from tunekit_integrations.dbms.records import (
    Applied,
    ApplyMode,
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


class MariadbTarget:
    """Holds one server of MariaDB 10.6 or newer, or of MySQL 8.0 or newer.

    Nothing is asked of the server before it is needed, so that `revert` works on a dead one.

    Args:
        server: private, or somebody else's.
        opened: durability knobs that may be tuned.
        clients: sessions at once that sort and join.
        ram_bytes, cpus: caps of what the server may use; needed of one on another machine.
    """

    def __init__(
        self,
        server: PrivateServer | AttachedServer,
        *,
        opened: Collection[str] = (),
        clients: int = 8,
        ram_bytes: int | None = None,
        cpus: int | None = None,
    ) -> None:
        self._server = server
        self._opened = frozenset(opened)
        self._clients = clients
        self._caps = {"ram_bytes": ram_bytes, "cpus": cpus}
        self._facts: Facts | None = None
        self._base: Snapshot | None = None

    @property
    def url(self) -> str:
        """Where a workload's client finds the database, without a password."""
        return self._server.url

    @property
    def instance(self) -> Instance:
        """The server."""
        facts = self._ask()
        return Instance(
            facts.system,
            facts.version,
            facts.machine,
            pid=self._server.pid if self._server.is_private else facts.pid,
            is_private=self._server.is_private,
            may_restart=self._server.may_restart,
        )

    @property
    def catalogue(self) -> Catalogue:
        """The knobs of this system."""
        return self._ask().catalogue

    def _ask(self) -> Facts:
        if self._facts is None:
            with self._connected() as connection:
                self._facts = ask_facts(connection, address_of(self.url), **self._caps)
        return self._facts

    @contextlib.contextmanager
    def _connected(self) -> Iterator[AutocommitConnection]:
        with self._explained(), connected(self.url) as connection:
            yield connection

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Add the end of the server's log to failures that are not the settings' own."""
        try:
            yield
        except TargetFailure as failure:
            if not failure.log and failure.kind is not FailureKind.INVALID:
                failure.log = self._server.log_excerpt()
            raise

    def _read(self, connection: AutocommitConnection) -> dict[str, Variable]:
        return read_variables(connection, is_mysql=self._is_mysql)

    def in_force(self) -> Mapping[str, InForce]:
        """Return every knob of the catalogue that this server has, as it has it."""
        with self._connected() as connection:
            return self._in_force(self._read(connection))

    def _in_force(self, variables: Mapping[str, Variable]) -> dict[str, InForce]:
        return in_force_of(variables, self._ask(), may_restart=self._server.may_restart)

    def check(self, settings: Settings) -> SettingsCheck:
        """Judge settings: names, bounds, memory, pairs, and the server's own reader of options."""
        with self._connected() as connection:
            variables = self._read(connection)
        found = check_settings(
            settings,
            variables,
            self._base.set_values if self._base else {},
            facts=self._ask(),
            opened=self._opened,
            clients=self._clients,
            may_restart=self._server.may_restart,
            keeps=self._server.option_file is not None or self._persists,
        )
        if not found.is_ok or not found.needs_restart:
            return found
        said = self._server.preflight(self._texts(settings))
        errors = (f"the server would not start: {said}.",) if said else ()
        return replace(found, errors=errors)

    def _texts(self, settings: Settings) -> dict[str, str]:
        return {name: text_of(self.catalogue.knobs[name], v) for name, v in settings.items()}

    def snapshot(self) -> Snapshot:
        """Return the global value of every knob, and our option file."""
        with self._connected() as connection:
            variables = self._read(connection)
            names = list(self._in_force(variables))
            persisted = read_persisted(connection, names) if self._persists else {}
        file = self._server.option_file
        self._base = Snapshot(
            self._ask().system,
            self._ask().identity,
            {**{name: variables[name].text for name in names}, **persisted},
            {str(file): read_text(file)} if file else {},
        )
        return self._base

    def apply(self, settings: Settings) -> Applied:
        """Put settings in force: while the server runs where it can, else by a restart.

        Where that fails, what the snapshot has is in force again.
        """
        base = self._base or self.snapshot()
        check = self.check(settings)
        check.refuse_errors()
        try:
            now = self._put(base, self._texts(settings), must_restart=POOL in check.needs_restart)
        except TargetFailure:
            with contextlib.suppress(TargetFailure):
                self.revert(base)
            raise
        return Applied.of(settings, self._in_force(now))

    def _put(
        self, base: Snapshot, texts: Mapping[str, str], *, must_restart: bool
    ) -> dict[str, Variable]:
        """Make the server have these texts of variables, now and after its next start.

        What is not named gets the text of `base`. Returns all as the server has them then.
        """
        wanted = {**{n: t for n, t in base.set_values.items() if t is not None}, **texts}
        file = self._server.option_file
        if file:
            _write(file, base.files.get(str(file), "") + (options_text(texts) if texts else ""))
        with self._connected() as connection:
            if self._persists:
                persist(connection, base.set_values, texts)
            there = self._read(connection)
            modes = {name: knob.mode for name, knob in self._in_force(there).items()}
            wanted = {name: text for name, text in wanted.items() if name in modes}
            dynamic = {n: t for n, t in wanted.items() if modes[n] is not ApplyMode.RESTART}
            static = [name for name in wanted if name not in dynamic]
            if not must_restart and all(is_same(there[n], wanted[n]) for n in static):
                return assign(connection, dynamic, there, is_mysql=self._is_mysql)
        self._server.restart()
        with self._connected() as connection:
            there = self._read(connection)
            return assign(connection, dynamic, there, is_mysql=self._is_mysql)

    @property
    def _persists(self) -> bool:
        """Whether the server keeps settings itself: MySQL, unless an option file is given."""
        return self._is_mysql and self._server.option_file is None

    @property
    def _is_mysql(self) -> bool:
        return self._ask().system == "mysql"

    def restart(self) -> float:
        """Restart the server and return the seconds until it answered."""
        started = time.perf_counter()
        self._server.restart()
        return time.perf_counter() - started

    def crash(self) -> float:
        """Kill a private server, start it, and return its seconds of recovery."""
        if not isinstance(self._server, PrivateServer):
            raise TargetFailure(
                FailureKind.INVALID, "this server is not private; only those are crashed."
            )
        self._server.kill()
        return self._server.start()

    def health(self) -> str:
        """Return "" for a server that answers, else a sentence."""
        if self._server.answers():
            return ""
        log = self._server.log_excerpt()
        return "the server does not answer" + (f"; its log ends with: {log}" if log else ".")

    def measure(
        self, workload: Workload, *, seconds: float, deadline_s: float, seed: int
    ) -> Measurement:
        """Run a slice, with the server's CPU time and the bytes of its redo log beside it.

        `temp_bytes` stays 0: these servers count temporary tables, and not their bytes.
        """
        before = self._counters()
        with self._explained():
            found = workload.run(self.url, seconds=seconds, deadline_s=deadline_s, seed=seed)
        return self._counters().added_to(found, before)

    def _counters(self) -> Counters:
        with self._connected() as connection:
            return read_counters(connection, pid=self.instance.pid)

    def plan_signature(self, queries: Mapping[str, str]) -> Mapping[str, str]:
        """Return query -> digest of its plan without costs and counts of rows."""
        with self._connected() as connection:
            return {name: plans.signature(connection, sql) for name, sql in queries.items()}

    def revert(self, snapshot: Snapshot) -> None:
        """Bring back our option file and every global value.

        On a server that does not answer the file comes first, so that its next start has its own
        configuration. A private one is started here, and so is an attached one that may be
        restarted. Of any other nobody here knows whether it is dead: this raises then.
        """
        if self._server.answers():
            check_identity(snapshot, self._ask())
        self._check_files(snapshot)
        for path, text in snapshot.files.items():
            _write(Path(path), text)
        self._server.revive()
        check_identity(snapshot, self._ask())
        self._base = snapshot
        self._put(snapshot, {}, must_restart=False)

    def _check_files(self, snapshot: Snapshot) -> None:
        """Check that a snapshot names our file only, whose server cannot be asked any more."""
        foreign = set(snapshot.files) - {str(self._server.option_file)}
        if foreign:
            raise TargetFailure(
                FailureKind.INVALID,
                f"the snapshot has the option file {min(foreign)}, and this server "
                f"{self._server.option_file}; give option_file= as it was.",
            )

    def close(self) -> None:
        """Let go; a private server is ended and its folder deleted."""
        self._server.close()

    def clone(self) -> MariadbTarget | None:
        """Return a private twin with the same data; the server is stopped for the copy."""
        if not isinstance(self._server, PrivateServer):
            return None
        self._server.stop()
        try:
            twin = PrivateServer(
                self._server.programs,
                configuration=self._server.configuration,
                data=self._server.data_folder,
            )
        finally:
            self._server.start()
        made = _over(twin, opened=self._opened, clients=self._clients, **self._caps)
        # One machine: the disk that the copy took narrows no range.
        made._facts = replace(made._ask(), machine=self._ask().machine)
        return made


def open_mariadb(
    where: str,
    *,
    may_restart: bool = False,
    restart_command: str = "",
    option_file: str = "",
    programs: str = "",
    configuration: Mapping[str, str] | None = None,
    **options: Any,
) -> MariadbTarget:
    """Return a target over the server of a URL, or over a new private one.

    Args:
        where: "mariadb://user@host:port/database", or "mariadb" or "mysql" for a private server.
            The user needs SUPER, on MySQL SYSTEM_VARIABLES_ADMIN.
        may_restart: whether an attached server may be restarted, for knobs that take it.
        restart_command: that restarts an attached server, such as "systemctl restart mariadb".
        option_file: of our own that an attached server reads at its start, such as
            /etc/mysql/mariadb.conf.d/99-tunekit.cnf.
        programs: folder with the program of a private server; "" for the installed one.
        configuration: options of a private server, below those under trial.
        options: of `MariadbTarget`.

    Raises:
        InvalidArgument: it is not a URL, or the system is not installed.
        TargetFailure: a private server does not start.
    """
    if where in ("mariadb", "mysql"):
        found = find_programs(where, folder=Path(programs) if programs else None)
        return _over(PrivateServer(found, configuration=configuration), **options)
    server = AttachedServer(
        where, may_restart=may_restart, restart_command=restart_command, option_file=option_file
    )
    return MariadbTarget(server, **options)


def _over(server: PrivateServer, **options: Any) -> MariadbTarget:
    try:
        server.start()
        target = MariadbTarget(server, **options)
        target.snapshot()
        return target
    except BaseException:
        server.close()
        raise


def _write(file: Path, text: str) -> None:
    try:
        write_whole(file, text)
    except OSError as error:
        raise TargetFailure(FailureKind.INVALID, f"{file} cannot be written: {error}.") from error
