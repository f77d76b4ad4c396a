"""Opens the storage named by a flag and reads studies from it."""

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
    from tunekit.studies.study import Study


DEFAULT_URL = "sqlite:///tunekit.db"


def url_of(flag: str | None, file: str | None = None) -> str:
    """Return the storage URL from the flag, the study file, the environment, or the default."""
    return flag or file or os.environ.get("TUNEKIT_URL") or DEFAULT_URL


def storage_flag(url: str) -> str:
    """Return the flag that opens this storage again, or its location if no flag is needed.

    The text hides a secret in the URL and says so.
    """
    shown = shown_url(url)
    if url == DEFAULT_URL and not os.environ.get("TUNEKIT_URL"):
        return f"  (in {DEFAULT_URL})"
    if url == os.environ.get("TUNEKIT_URL"):
        return f"  (in $TUNEKIT_URL, {shown})"
    return f" --storage {shlex.quote(shown)}" + (" (with its password)" if shown != url else "")


def sqlite_file(url: str) -> Path | None:
    """Return the file of an SQLite URL, or `None` for any other storage."""
    scheme, found, rest = url.partition(":///")
    if found and scheme.partition("+")[0] == "sqlite":
        return Path(rest.partition("?")[0])
    return None if "://" in url else Path(url)


def existing_url(flag: str | None) -> str:
    """Return the storage URL from the flag, the environment, or the default.

    Raises:
        UnknownStudy: it names a file that does not exist.
    """
    url = url_of(flag)
    path = sqlite_file(url)
    if path is not None and path.suffix and not path.exists():
        raise UnknownStudy(
            f'no database at "{shown_url(url)}", expected one created by `tunekit run` or '
            "`tunekit demo`; give another with --storage or $TUNEKIT_URL."
        )
    return url


def open_existing(flag: str | None) -> Storage:
    """Open an existing storage; a query must not create a database.

    Raises:
        UnknownStudy: the file does not exist.
        StorageError, StorageUnreachable, SchemaMismatch: the storage cannot be used.
    """
    from tunekit.storages.urls import open_storage

    url = existing_url(flag)
    return open_storage(url, must_exist=True)


def alive(storage: Storage, record: StudyRecord) -> str:
    """Describe what still runs of a study elsewhere; empty if nothing is known to run.

    This covers a driver on this machine, even if it waits for a paused study, and trials whose
    workers hold their leases.
    """
    from tunekit.driver.worker_id import is_known_alive, is_known_dead
    from tunekit.records import TrialState
    from tunekit.studies.histories import read_history

    now = time.time()
    held = [
        t.number
        for t in read_history(storage, record).unfinished()
        if t.state is TrialState.RUNNING
        and (t.lease_until or 0.0) > now
        and not is_known_dead(t.worker)
    ]
    if held:
        return f"its trials {held} are still running, and their workers continue"
    run = record.spec.attrs.get("run")
    worker = run.get("worker") if isinstance(run, Mapping) else None
    if isinstance(worker, str) and is_known_alive(worker):
        return "its run is alive on this machine and continues"
    return ""


def read_study(storage: Storage, name: str) -> tuple[StudyRecord, History]:
    """Return a study and all its trials.

    Raises:
        UnknownStudy: the study does not exist.
    """
    from tunekit.studies.histories import read_history

    record = storage.get_study(name)
    return record, read_history(storage, record)


def opened_study(storage: Storage, name: str) -> Study:
    """Return a study to read, with its own sampler only if that is cheap to make and of use.

    Raises:
        UnknownStudy: the study does not exist.
    """
    from tunekit.api import load_study

    own = storage.get_study(name).spec.sampler == "coordinate"
    return load_study(name, storage=storage, sampler=None if own else "random", stopper=[])
