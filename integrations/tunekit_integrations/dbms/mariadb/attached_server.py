"""A server that somebody else runs."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.mariadb.connection import address_of, connected, split_password
from tunekit_integrations.dbms.mariadb.option_file import HEAD, read_text
from tunekit_integrations.dbms.records import FailureKind, TargetFailure
from tunekit_integrations.dbms.waiting import wait_until

RESTART_S = 120.0
LOOK_S = 0.02


class AttachedServer:
    """Reaches a server by its URL, and restarts it by its owner's command where that is allowed.

    Args:
        url: of the database; a password in it goes into a file that only this user reads.
        may_restart: whether it may be restarted.
        restart_command: such as "systemctl restart mariadb".
        option_file: of our own, that the server reads at its start.

    Raises:
        InvalidArgument: the URL is none, the options do not go together, or the option file
            is not ours.
    """

    is_private = False
    pid: int | None = None

    def __init__(
        self, url: str, *, may_restart: bool, restart_command: str, option_file: str
    ) -> None:
        self._secrets: Path | None = None
        self.url = self._without_password(url)
        if may_restart and not (restart_command and option_file):
            raise InvalidArgument(
                "an attached server is restarted by a command of yours, and keeps settings in an "
                "option file of ours; give restart_command= and option_file=, or do not allow it."
            )
        self.may_restart = may_restart
        self.option_file = Path(option_file).absolute() if option_file else None
        self._command = shlex.split(restart_command)
        text = read_text(self.option_file) if self.option_file else ""
        if text and not text.startswith(HEAD):
            raise InvalidArgument(
                f"{self.option_file} is there and was not written by tunekit; give the path of a "
                "file of its own, in a folder whose files the server reads."
            )

    def _without_password(self, url: str) -> str:
        plain, password = split_password(url)
        address = address_of(plain)
        if password:
            self._secrets = Path(tempfile.mkdtemp(prefix="tunekit-client-")) / "client.cnf"
            self._secrets.touch(mode=0o600)
            self._secrets.write_text(f"[client]\npassword = {password}\n", encoding="utf-8")
            address = replace(address, option_file=str(self._secrets))
        return address.url()

    def preflight(self, settings: Mapping[str, str]) -> str:
        """Return "": the server's program is not ours to run."""
        return ""

    def restart(self) -> None:
        """Restart the server by its owner's command.

        Raises:
            TargetFailure: it must not be restarted, or does not come back.
        """
        if not self.may_restart:
            raise TargetFailure(FailureKind.INVALID, "this server must not be restarted.")
        ends = time.monotonic() + RESTART_S
        try:
            done = subprocess.run(  # noqa: S603 - the user's own command, no shell
                self._command, capture_output=True, text=True, timeout=RESTART_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise TargetFailure(
                FailureKind.NO_START, f"{shlex.join(self._command)} failed: {error}."
            ) from error
        left_s = ends - time.monotonic()
        if done.returncode or not wait_until(self.answers, within_s=left_s):
            raise TargetFailure(
                FailureKind.NO_START,
                f"the server did not come back after {shlex.join(self._command)}.",
                log=(done.stdout + done.stderr)[-4000:],
            )

    def revive(self) -> None:
        """Restart a server that does not answer, where that is allowed."""
        if self.may_restart and not self.answers():
            self.restart()

    def answers(self) -> bool:
        """Return whether the server answers."""
        try:
            with connected(self.url, read_timeout_s=LOOK_S * 100) as connection:
                return bool(connection.rows("SELECT 1"))
        except TargetFailure:
            return False

    def log_excerpt(self) -> str:
        """Return "": the server's log is where its owner has it."""
        return ""

    def close(self) -> None:
        """Forget the password; the server goes on."""
        if self._secrets:
            shutil.rmtree(self._secrets.parent, ignore_errors=True)
