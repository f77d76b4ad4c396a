"""Keeps results on disk until the service has them; they survive the end of their worker.

A result is written before it is first sent and removed when the service has answered. Each
carries its key, so one that is sent again, by whoever finds it here, counts once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tunekit.checkpoints.disk import sync
from tunekit.client.log import log
from tunekit.errors import (
    NotAllowed,
    NotAuthenticated,
    QuotaReached,
    ServiceBusy,
    StorageUnreachable,
    TunekitError,
)
from tunekit.identifiers import new_id
from tunekit.storages.http.connection import Connection

LATER = (StorageUnreachable, ServiceBusy, QuotaReached, NotAuthenticated, NotAllowed)
"""Errors that say nothing about the result itself; it is kept and sent again."""


class Post(NamedTuple):
    """A request: path below `/api/v1`, and body."""

    path: str
    body: Mapping[str, Any]


def spool_folder() -> Path:
    """Return the default folder, in `$XDG_STATE_HOME` or `~/.local/state`."""
    root = os.environ.get("XDG_STATE_HOME") or os.path.join(
        os.path.expanduser("~"), ".local", "state"
    )
    return Path(root) / "tunekit" / "spool"


class Spool:
    """A folder of unsent results; several processes may share it.

    Args:
        folder: where they are kept; created on the first result.
        connection: to the service. Results for other services stay.
    """

    def __init__(self, folder: Path, connection: Connection) -> None:
        self.folder = folder
        self._http = connection

    def add(self, posts: Sequence[Post]) -> Path:
        """Write requests so that they survive a crash of the process or the machine.

        Raises:
            OSError: the folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.folder / f"{new_id()}.json"
        doc = {"url": self._http.url, "posts": [[p.path, p.body] for p in posts]}
        new = path.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(doc, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        sync(self.folder)
        return path

    def send(self, path: Path, *, outage_s: float) -> bool:
        """Send the requests in a file in order, and remove it; return whether they were sent.

        Another process may have sent them meanwhile.

        Raises:
            TunekitError: the service refuses them, now or for good; only in the second case is
                the file gone.
        """
        posts = self._read(path)
        if posts is None:
            return False
        try:
            for post in posts:
                self._http.request("POST", post.path, post.body, outage_s=outage_s)
        except LATER:
            raise
        except TunekitError as error:
            if type(error) is not TunekitError:  # else the service failed, not the result
                path.unlink(missing_ok=True)
            raise
        path.unlink(missing_ok=True)
        return True

    def flush(self, *, outage_s: float = 1.0) -> int:
        """Send all results that are kept for this service; return how many are left.

        One that the service refuses for good, such as the result of a trial that another worker
        has finished, is logged and dropped.
        """
        left = 0
        waiting = list(self._waiting())
        for i, path in enumerate(waiting):
            try:
                self.send(path, outage_s=outage_s)
            except LATER as error:
                left += len(waiting) - i
                log().warning("%d results are kept in %s: %s", left, self.folder, error)
                break
            except TunekitError as error:
                left += path.exists()
                end = "stays" if path.exists() else "was refused and dropped"
                log().error("the result in %s %s: %s", path, end, error)
        return left

    def _waiting(self) -> Iterator[Path]:
        """Return the files in the order in which they were written."""
        found = []
        for path in self.folder.glob("*.json"):
            try:
                found.append((path.stat().st_mtime_ns, path))
            except FileNotFoundError:  # another process has sent it
                continue
        return iter([path for _, path in sorted(found)])

    def _read(self, path: Path) -> list[Post] | None:
        try:
            doc = json.loads(path.read_text(encoding="utf-8"))
            if doc["url"] != self._http.url:
                return None
            return [Post(str(p), dict(body)) for p, body in doc["posts"]]
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            log().error("%s is damaged (%s); nothing of it was sent.", path, error)
            path.replace(path.with_suffix(".damaged"))
            return None
