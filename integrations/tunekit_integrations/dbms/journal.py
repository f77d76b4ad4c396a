"""The rollback journal: a server's own configuration, on disk before the first change.

A journal is written to a new file, synced and renamed, so that it is complete or absent whatever
kills the process, and removed only after the server was read back and found as it was. While one
exists, nobody takes a new snapshot of that server: it would be of a half-tuned one.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from tunekit.errors import InvalidArgument, StorageError
from tunekit.identifiers import digest
from tunekit.shown import shown_url
from tunekit_integrations.dbms.records import Snapshot

Purpose: TypeAlias = Literal["tune", "apply"]

FORMAT = "tunekit.rollback/1"


@dataclass(frozen=True, slots=True)
class Journal:
    """What brings one server back.

    Attributes:
        kind: short name of the target.
        url: where the server is, without a password.
        snapshot: its own configuration.
        written: seconds since 1970.
        pid: of the process that wrote it.
        purpose: "tune", to be brought back as soon as possible, or "apply", to be taken back when
            a person wants it.
    """

    kind: str
    url: str
    snapshot: Snapshot
    written: float
    pid: int
    purpose: Purpose = "tune"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "format": FORMAT,
            "kind": self.kind,
            "url": self.url,
            "written": self.written,
            "pid": self.pid,
            "purpose": self.purpose,
            "snapshot": self.snapshot.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Journal:
        """Return the journal that `to_dict` wrote.

        Raises:
            StorageError: the data is not a journal.
        """
        try:
            if data["format"] != FORMAT:
                raise KeyError("format")
            kept = Snapshot.from_dict(data["snapshot"])
            purpose: Purpose = "apply" if data["purpose"] == "apply" else "tune"
            written, pid = float(data["written"]), int(data["pid"])
            return cls(data["kind"], data["url"], kept, written, pid, purpose)
        except (KeyError, TypeError, ValueError) as error:
            raise StorageError(
                f'it is not a rollback journal of the format "{FORMAT}" ({error}); look into it '
                "before you delete it."
            ) from None


class Journals:
    """The journals of this user, one a server.

    Args:
        folder: of their files; by default `tunekit/knobs` in `$XDG_STATE_HOME`, else in
            `~/.local/state`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or _default_folder()

    def path(self, identity: Mapping[str, str], purpose: Purpose = "tune") -> Path:
        """Return the file of a server's journal."""
        name = digest(json.dumps(sorted(identity.items())).encode(), n_bytes=8).hex()
        return self.folder / (f"{name}.json" if purpose == "tune" else f"{name}.applied.json")

    def write(
        self, kind: str, url: str, snapshot: Snapshot, *, purpose: Purpose = "tune"
    ) -> Journal:
        """Write a server's journal, so that it survives whatever comes.

        Raises:
            InvalidArgument: the server has one, so that its configuration may not be its own.
            StorageError: the file cannot be written.
        """
        path = self.path(snapshot.identity, purpose)
        if path.exists():
            raise InvalidArgument(
                f"an earlier run left {path}, so the server may still be half-tuned; run "
                "`tunekit knobs rollback` first."
            )
        journal = Journal(kind, shown_url(url), snapshot, time.time(), os.getpid(), purpose)
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_synced(path, json.dumps(journal.to_dict(), indent=1))
        except OSError as error:
            raise StorageError(
                f"the rollback journal {path} cannot be written ({error.strerror or error}); "
                "without it no server is changed."
            ) from error
        return journal

    def read(self, identity: Mapping[str, str], purpose: Purpose = "tune") -> Journal | None:
        """Return the journal of a server, `None` if it has none.

        Raises:
            StorageError: the file is damaged.
        """
        path = self.path(identity, purpose)
        return _read(path) if path.exists() else None

    def all(self) -> list[Journal]:
        """Return all journals, oldest first.

        Raises:
            StorageError: a file is damaged.
        """
        found = [_read(p) for p in self.folder.glob("*.json")] if self.folder.is_dir() else []
        return sorted(found, key=lambda j: j.written)

    def remove(self, identity: Mapping[str, str], purpose: Purpose = "tune") -> None:
        """Remove the journal of a server that was read back and found as it was."""
        self.path(identity, purpose).unlink(missing_ok=True)
        if self.folder.is_dir():
            _sync_folder(self.folder)

    @contextmanager
    def held(self, identity: Mapping[str, str]) -> Iterator[None]:
        """Be the only process that tunes or rolls back a server.

        The lock ends with the process, whatever ends it.

        Raises:
            InvalidArgument: another process holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        place = self.path(identity).with_suffix(".lock")
        with place.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InvalidArgument(
                    "another process tunes this server, or rolls it back; wait until it has ended."
                ) from None
            yield


def write_synced(path: Path, text: str) -> None:
    """Write a file that only its user reads; after a crash it is complete, or as it was before."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
    _sync_folder(path.parent)


def _read(path: Path) -> Journal:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StorageError(f"{path} cannot be read: {error}.") from error
    try:
        return Journal.from_dict(data)
    except StorageError as error:
        raise StorageError(f"{path}: {error.message}") from None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _default_folder() -> Path:
    root = os.environ.get("XDG_STATE_HOME") or os.path.join(
        os.path.expanduser("~"), ".local", "state"
    )
    return Path(root) / "tunekit" / "knobs"
