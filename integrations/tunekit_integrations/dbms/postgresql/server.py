"""What a target asks of the thing that runs a server, and a server that somebody else runs."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.postgresql.control import system_identifier
from tunekit_integrations.dbms.postgresql.session import ReconnectingSession
from tunekit_integrations.dbms.records import FailureKind, TargetFailure
from tunekit_integrations.dbms.waiting import retry

RESTART_S = 120.0


class Server(Protocol):
    """A PostgreSQL server, as far as it is started and stopped."""

    @property
    def url(self) -> str:
        """Where clients find it, without a password."""
        ...

    @property
    def pid(self) -> int | None:
        """The process id of the postmaster, `None` where it does not run here."""
        ...

    @property
    def data_folder(self) -> Path | None:
        """Its data on this machine, `None` where they are not or cannot be read."""
        ...

    @property
    def programs(self) -> Path | None:
        """Folder of its programs, `None` where they are not on this machine."""
        ...

    @property
    def user(self) -> str | None:
        """Whom its programs run as, `None` for the user of this process."""
        ...

    @property
    def is_private(self) -> bool:
        """Whether it belongs to tunekit alone."""
        ...

    @property
    def may_restart(self) -> bool:
        """Whether it may be restarted."""
        ...

    def restart(self) -> None:
        """Stop the server, in whatever state it is, and start it."""
        ...

    def log_tail(self) -> str:
        """Return the last lines of its log, as far as they are known."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class ForeignServer:
    """A server that somebody else runs.

    Args:
        dsn: connection string or URL; a password in it goes into a file that only this user reads.
        restart: command that restarts it, run without a shell; never restarted without.

    Raises:
        InvalidArgument: libpq cannot read the DSN.
    """

    is_private = False

    def __init__(self, dsn: str, *, restart: str | None = None) -> None:
        self._command = shlex.split(restart) if restart else []
        self._secrets: Path | None = None
        self._told = ""
        self.url = self._without_password(dsn)
        self.data_folder: Path | None = None
        self.programs: Path | None = None
        self.user: str | None = None

    @property
    def may_restart(self) -> bool:
        """Whether the user gave a command for it."""
        return bool(self._command)

    @property
    def pid(self) -> int | None:
        """The process id of the postmaster, if it runs on this machine."""
        try:
            lines = (self.data_folder / "postmaster.pid").read_text() if self.data_folder else ""
            return int(lines.split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    def locate(self, data_folder: str, identifier: str) -> None:
        """Take a folder for the server's if it lies on this machine and has its identifier."""
        folder = Path(data_folder)
        if system_identifier(folder) != identifier:
            return
        self.data_folder = folder
        with suppress(KeyError):  # a user of a container
            self.user = folder.owner()
        try:
            program = Path(f"/proc/{self.pid}/exe").resolve(strict=True)
        except OSError:
            return
        self.programs = program.parent if program.name == "postgres" else None

    def restart(self) -> None:
        """Run the user's command and wait until the server answers.

        Raises:
            TargetFailure: there is no command, it fails, or the server does not answer.
        """
        if not self._command:
            raise TargetFailure(
                FailureKind.INVALID, "this server may not be restarted; give the command for it."
            )
        self._run_command()
        session = ReconnectingSession(self.url)
        try:
            retry(lambda: session.run("SELECT 1"), within_s=RESTART_S)
        except TargetFailure as failure:
            message = f"the server does not answer after its restart: {failure.message}"
            raise TargetFailure(FailureKind.NO_START, message, log=self._told) from None
        finally:
            session.close()

    def log_tail(self) -> str:
        """Return what the last restart said."""
        return self._told

    def close(self) -> None:
        """Delete the file with the password."""
        if self._secrets is not None:
            shutil.rmtree(self._secrets, ignore_errors=True)

    def _run_command(self) -> None:
        with tempfile.TemporaryFile() as output:  # a server would inherit a pipe and keep it open
            try:
                done = subprocess.run(  # noqa: S603 - the user's own command, no shell
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    timeout=RESTART_S,
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                message = f'"{self._command[0]}" did not restart the server: {error}.'
                raise TargetFailure(FailureKind.NO_START, message) from None
            output.seek(0)
            self._told = output.read().decode(errors="replace").strip()[-4000:]
        if done.returncode:
            message = f'"{self._command[0]}" failed with {done.returncode}.'
            raise TargetFailure(FailureKind.NO_START, message, log=self._told)

    def _without_password(self, dsn: str) -> str:
        import psycopg2
        from psycopg2.extensions import parse_dsn

        try:
            given = parse_dsn(dsn)
        except psycopg2.ProgrammingError as error:
            raise InvalidArgument(
                f"this is not an address of a PostgreSQL server ({str(error).strip()}); "
                "expected postgresql://user@host:port/database."
            ) from None
        password = given.pop("password", None)
        if password is not None:
            self._secrets = Path(tempfile.mkdtemp(prefix="tunekit-secret-"))
            escaped = password.replace("\\", "\\\\").replace(":", "\\:")
            file = self._secrets / "pgpass"
            file.touch(mode=0o600)
            file.write_text(f"*:*:*:*:{escaped}\n", encoding="utf-8")
            given["passfile"] = str(file)
        return _url(given)


def _url(given: dict[str, str]) -> str:
    from urllib.parse import quote, urlencode

    user, database = quote(given.pop("user", ""), safe=""), quote(given.pop("dbname", ""), safe="")
    host, port = given.pop("host", ""), given.pop("port", "")
    is_simple = bool(host) and not set(host) & set("/,:")
    place = f"{host}{f':{port}' if port else ''}" if is_simple else ""
    query = given if is_simple else {**given, "host": host, "port": port}
    query = {name: value for name, value in query.items() if value}
    login = f"{user}@" if user else ""
    return f"postgresql://{login}{place}/{database}{'?' if query else ''}{urlencode(query)}"
