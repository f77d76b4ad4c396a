"""Changes the settings behind ALTER SYSTEM, of a server that runs and of one that does not."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tunekit_integrations.dbms.catalogue import Catalogue
from tunekit_integrations.dbms.postgresql import auto_conf
from tunekit_integrations.dbms.postgresql.server import Server
from tunekit_integrations.dbms.postgresql.session import ReconnectingSession
from tunekit_integrations.dbms.postgresql.values import COLUMNS, MODES, SettingRow, as_setting
from tunekit_integrations.dbms.records import FailureKind, InForce, TargetFailure
from tunekit_integrations.dbms.waiting import wait_until

RELOAD_S = 10.0
LOOK_S = 0.001

Texts = Mapping[str, "str | None"]
"""Setting -> text as the file has it, `None` where it has none."""


class Configuration:
    """The settings of one server.

    Args:
        session: with the server.
        server: whose files are edited where it does not run.
    """

    def __init__(self, session: ReconnectingSession, server: Server) -> None:
        self._session = session
        self._server = server

    def rows(self, names: Collection[str]) -> dict[str, SettingRow]:
        """Return settings that can be changed, as new sessions see them.

        Raises:
            TargetFailure: the server does not answer.
        """
        rows = self._session.run(
            f"SELECT {COLUMNS} FROM pg_settings WHERE name = ANY(%s)",  # noqa: S608 - a constant
            [list(names)],
        )
        found = [as_setting(row) for row in rows]
        return {s.name: s for s in found if s.context in MODES}

    def in_force(self, catalogue: Catalogue, rows: Mapping[str, SettingRow]) -> dict[str, InForce]:
        """Return settings as the contract has them, before any of them caps another."""
        return {n: rows[n].in_force(catalogue.knobs[n]) for n in catalogue.knobs if n in rows}

    def texts(self, names: Collection[str]) -> dict[str, str | None]:
        """Return what ALTER SYSTEM has set.

        Raises:
            TargetFailure: the server does not answer, or does not tell this role.
        """
        folder = self._server.data_folder
        if folder is not None:
            try:
                own = auto_conf.read_settings((folder / auto_conf.FILE).read_text("utf-8"))
                return {name: own.get(name) for name in names}
            except OSError:
                pass  # the file belongs to the server's user: ask the server
        rows = self._session.run(
            "SELECT name, setting FROM pg_file_settings"
            " WHERE right(sourcefile, %s) = %s ORDER BY seqno",
            [len(auto_conf.FILE), auto_conf.FILE],
        )
        there = {str(name).lower(): str(text) for name, text in rows}
        return {name: there.get(name) for name in names}

    def write(self, texts: Texts) -> list[str]:
        """Set and reset by ALTER SYSTEM what differs, and return the names.

        Raises:
            TargetFailure: the server refuses a value, or does not answer.
        """
        from psycopg2 import sql

        before = self.texts(texts)
        differing = [name for name, text in texts.items() if before[name] != text]
        for name in differing:
            text = texts[name]
            if text is None:
                statement = sql.SQL("ALTER SYSTEM RESET {}").format(sql.Identifier(name))
            else:
                statement = sql.SQL("ALTER SYSTEM SET {} = {}").format(
                    sql.Identifier(name), sql.Literal(text)
                )
            self._session.run(statement)
        return differing

    def reload(self) -> None:
        """Have the server read its files, and return when new sessions see what they say.

        The postmaster signals sessions after it has read the files itself, so once the time of
        this session's last load moves, sessions that start from now on have the new values.

        Raises:
            TargetFailure: a file of the server is faulty, or it does not answer.
        """
        run, loaded = self._session.run, "SELECT pg_conf_load_time()"
        ((before,),) = run(loaded)
        run("SELECT pg_reload_conf()")
        is_loaded = wait_until(
            lambda: run(loaded) != [(before,)], within_s=RELOAD_S, every_s=LOOK_S
        )
        if not is_loaded:
            raise TargetFailure(
                FailureKind.INVALID,
                "the server does not take its configuration; its files have an error, which the "
                "view pg_file_settings shows.",
            )

    def edit(self, texts: Texts) -> None:
        """Change the file of a server that does not run.

        Raises:
            TargetFailure: the file is not on this machine, or not this user's to change.
        """
        if self._server.data_folder is None:
            raise TargetFailure(
                FailureKind.LOST_CONNECTION,
                "the server does not answer and its files are not on this machine; start it, and "
                "revert again.",
            )
        try:
            auto_conf.edit(self._server.data_folder, texts)
        except OSError as error:
            raise TargetFailure(
                FailureKind.LOST_CONNECTION,
                f"the server does not answer and its file cannot be changed ({error}); revert as "
                "the user that the server runs as.",
            ) from None
