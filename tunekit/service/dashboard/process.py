"""The process of the dashboard's pages: started with the service, and again after its end."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tunekit.errors import ServiceBusy
from tunekit.storages.http.browser import (
    DASHBOARD_CERTIFICATE,
    DASHBOARD_KEY,
    DASHBOARD_SERVICE,
    DASHBOARD_TOKEN,
)

START_S = 60.0
"""Seconds that the process may take to listen; loading its packages is most of it."""

AGAIN_S = 5.0
"""Least seconds between two starts, so that a process that cannot run does not take all CPU."""


@dataclass(frozen=True, slots=True)
class PageSettings:
    """How the pages are served.

    Attributes:
        service: URL of the service with its root path, as this machine reaches it.
        base_path: path of the pages in the browser, without slash at its ends.
        hosts: names that requests may give.
        cookie_secret: signs Streamlit's own cookies; the same in all replicas; empty for a
            random one.
        key: shows the service that a request is of its own pages; empty for another's service.
        token: for a service that a person uses from a terminal; empty where browsers log in.
        certificate: file with the certificate of the service, where it serves HTTPS.
    """

    service: str
    base_path: str = "dashboard"
    hosts: tuple[str, ...] = ("*",)
    cookie_secret: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    certificate: Path | None = None


class DashboardProcess:
    """Runs `python -m tunekit_dashboard` on a Unix socket in a folder that others cannot enter.

    Args:
        settings: how the pages are served.
    """

    def __init__(self, settings: PageSettings) -> None:
        self.settings = settings
        self._folder = tempfile.TemporaryDirectory(prefix="tunekit-pages-")
        self.socket = str(Path(self._folder.name) / "pages")
        self._secret = settings.cookie_secret or secrets.token_hex(32)
        self._process: subprocess.Popen[bytes] | None = None
        self._started = -AGAIN_S
        self._starting = asyncio.Lock()
        self._is_up = False
        self._is_closed = False

    @property
    def pid(self) -> int | None:
        """Return the process id, `None` before the first visitor."""
        return None if self._process is None else self._process.pid

    async def ready(self) -> str:
        """Return the socket once the process listens on it.

        Raises:
            ServiceBusy: it does not start.
        """
        async with self._starting:
            if self._process is None or self._process.poll() is not None:
                await self._start()
            if not self._is_up:
                await self._listening()
            return self.socket

    def start(self) -> None:
        """Begin to start the process, for the first visitor."""
        if self._process is None and not self._is_closed:
            self._spawn()

    def close(self) -> None:
        """End the process, and forget it."""
        self._is_closed = True
        process, self._process = self._process, None
        if process is not None:
            if process.stdin is not None:
                process.stdin.close()  # ends it
            try:
                process.wait(3.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._folder.cleanup()

    async def _start(self) -> None:
        if self._is_closed:
            raise ServiceBusy("the service is stopping; use another replica.")
        wait_s = self._started + AGAIN_S - time.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        Path(self.socket).unlink(missing_ok=True)
        self._spawn()

    async def _listening(self) -> None:
        until = time.monotonic() + START_S
        while self._process is not None and self._process.poll() is None:
            try:
                _, writer = await asyncio.open_unix_connection(self.socket)
            except OSError:
                if time.monotonic() > until:
                    break
                await asyncio.sleep(0.05)
            else:
                writer.close()
                self._is_up = True
                return
        raise ServiceBusy(
            "the dashboard does not start; the log of the service says why. The REST interface "
            "works without it."
        )

    def _spawn(self) -> None:
        self._started, self._is_up = time.monotonic(), False
        settings = self.settings
        hosts = [part for host in settings.hosts for part in ("--host", host)]
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "tunekit_dashboard", "--socket", self.socket,
             "--base-path", settings.base_path, *hosts],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=self._environment(),
            start_new_session=True,
        )  # fmt: skip

    def _environment(self) -> Mapping[str, str]:
        """Return the environment of the process, without the secrets of the service.

        Its own are not in its command, which everybody on this machine can read.
        """
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("STREAMLIT_", "TUNEKIT_"))
        }
        kept[DASHBOARD_SERVICE] = self.settings.service
        kept["STREAMLIT_SERVER_COOKIE_SECRET"] = self._secret
        if self.settings.key:
            kept[DASHBOARD_KEY] = self.settings.key
        if self.settings.token:
            kept[DASHBOARD_TOKEN] = self.settings.token
        if self.settings.certificate is not None:
            kept[DASHBOARD_CERTIFICATE] = str(self.settings.certificate)
        return kept
