"""Open the storage that a flag names, and read studies from it."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tunekit.errors import UnknownStudy
from tunekit.shown import shown_url

if TYPE_CHECKING:
    from tunekit.history import History
    from tunekit.records import StudyRecord
    from tunekit.storages.base import Storage


DEFAULT_URL = "sqlite:///tunekit.db"


def url_of(flag: str | None, file: str | None = None) -> str:
    """Return the storage URL: the flag's, the study file's, the environment's, the default."""
    return flag or file or os.environ.get("TUNEKIT_URL") or DEFAULT_URL


def storage_flag(url: str) -> str:
    """Return the flag that opens this storage again, or the place where no flag is needed.

    It holds no secret; where the URL has one, it says so.
    """
    shown = shown_url(url)
    if url == DEFAULT_URL and not os.environ.get("TUNEKIT_URL"):
        return f"  (in {DEFAULT_URL})"
    if url == os.environ.get("TUNEKIT_URL"):
        return f"  (in $TUNEKIT_URL, {shown})"
    return f" --storage {shlex.quote(shown)}" + (" (with its password)" if shown != url else "")


def sqlite_file(url: str) -> Path | None:
    """Return the file of an SQLite URL, `None` for any other storage."""
    scheme, found, rest = url.partition(":///")
    if found and scheme.partition("+")[0] == "sqlite":
        return Path(rest.partition("?")[0])
    return None if "://" in url else Path(url)


def open_existing(flag: str | None) -> Storage:
    """Return the storage that is there already: a question must not create a database.

    Raises:
        UnknownStudy: the file does not exist.
        StorageError, StorageUnreachable, SchemaMismatch: it cannot be used.
    """
    from tunekit.storages.urls import open_storage

    url = url_of(flag)
    path = sqlite_file(url)
    if path is not None and path.suffix and not path.exists():
        raise UnknownStudy(
            f'no database at "{shown_url(url)}", expected one that `tunekit run` or `tunekit '
            "demo` has made; give another with --storage or $TUNEKIT_URL."
        )
    return open_storage(url, must_exist=True)


def alive(storage: Storage, record: StudyRecord) -> str:
    """Return what of a study is alive elsewhere, in words; empty if nothing is known to be.

    Its driver of this machine, also one that waits because the study is paused, or trials whose
    workers keep their leases.
    """
    from tunekit.driver.worker_id import is_known_alive, is_known_dead
    from tunekit.records import TrialState

    now = time.time()
    held = [
        t.number
        for t in history_of(storage, record).unfinished()
        if t.state is TrialState.RUNNING
        and (t.lease_until or 0.0) > now
        and not is_known_dead(t.worker)
    ]
    if held:
        return f"its trials {held} run already, and their workers go on"
    run = record.spec.attrs.get("run")
    worker = run.get("worker") if isinstance(run, Mapping) else None
    if isinstance(worker, str) and is_known_alive(worker):
        return "its run is alive on this machine and goes on"
    return ""


def read_study(storage: Storage, name: str) -> tuple[StudyRecord, History]:
    """Return a study and all of its trials.

    Raises:
        UnknownStudy: no such name.
    """
    record = storage.get_study(name)
    return record, history_of(storage, record)


def history_of(storage: Storage, record: StudyRecord) -> History:
    """Return all trials of a study."""
    from tunekit.history import History

    space = record.spec.space and storage.spaces(record.id)[record.space_version]
    target = space.target if space else None
    history = History(record.spec.objectives, record.spec.constraints, target)
    changes = storage.changes(record.id)
    history.update(changes.trials, changes.cursor)
    return history
