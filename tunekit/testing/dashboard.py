"""Runs `tunekit serve --dashboard` for tests and benchmarks, and drives a real Chromium."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tunekit.storages.http.connection import Connection

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = "/usr/bin/chromium"
"""Where Debian's package puts it."""

PASSWORD = "correct horse battery"  # noqa: S105 - of users that live as long as a test


@dataclass
class ServedDashboard:
    """A service that runs with its pages.

    Attributes:
        url: of the service with its root path.
        process: of the service.
        setup: secret of the link that makes the first operator; empty without accounts.
        log: later lines of its output.
    """

    url: str
    process: subprocess.Popen[str]
    setup: str = ""
    log: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        """Return the port on which it listens."""
        return urlsplit(self.url).port or 80

    def page(self, path: str = "") -> str:
        """Return the URL of a page."""
        return f"{self.url}/dashboard/{path}"

    def request(self, method: str, path: str, doc: Any = None, *, token: str | None = None) -> Any:
        """Return the JSON document of an answer of the REST interface."""
        connection = Connection(self.url, token)
        try:
            return connection.request(method, path, doc).doc
        finally:
            connection.close()

    def stop(self, with_signal: signal.Signals = signal.SIGINT) -> int:
        """Stop the service as Ctrl-C does; return its exit status."""
        self.process.send_signal(with_signal)
        return self.process.wait(60)


@contextmanager
def served_dashboard(
    storage: str, *options: str, accounts: bool = False, port: int = 0
) -> Iterator[ServedDashboard]:
    """Run the service with its pages on a loopback port.

    Args:
        storage: URL of the storage.
        options: further ones of `tunekit serve`.
        accounts: whether callers log in.
        port: to listen on; 0 takes a free one.
    """
    command = [
        sys.executable, "-m", "tunekit", "serve", "--dashboard", "--storage", storage,
        "--port", str(port), "--log-level", "error", *options,
        *([] if accounts else ["--no-accounts"]),
    ]  # fmt: skip
    with subprocess.Popen(  # noqa: S603 - our own command
        command, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "400"},
    ) as process:  # fmt: skip
        assert process.stderr is not None
        served = ServedDashboard(_after(process.stderr.readline(), "tunekit serves "), process)
        if accounts:
            line = process.stderr.readline()
            served.setup = line.strip().rpartition("#")[2]
        Thread(target=_drain, args=(process.stderr, served.log), daemon=True).start()
        try:
            yield served
        finally:
            if process.poll() is None:
                served.stop()


def _drain(lines: IO[str], log: list[str]) -> None:
    """Read on, so that the service never waits for its reader."""
    for line in lines:
        log.append(line)


def _after(line: str, mark: str) -> str:
    """Return the word after a mark in a line of the service's output."""
    assert mark in line, f"the service did not start: {line!r}"
    return line.partition(mark)[2].split()[0]


def has_chromium() -> bool:
    """Return whether the browser is installed."""
    return shutil.which(CHROMIUM) is not None


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a Chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Its sandbox needs rights that containers do not give; it loads our own pages only.
        options = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        try:
            yield browser
        finally:
            browser.close()
