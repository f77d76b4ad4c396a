"""Stores checkpoints in a local folder, or on a file system that all workers mount.

A checkpoint is written to a temporary sibling, synced to disk and renamed; a rename within a file
system is atomic.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from tunekit.checkpoints.base import epoch_of
from tunekit.checkpoints.disk import sync
from tunekit.errors import CheckpointError, UnknownCheckpoint
from tunekit.identifiers import new_id


class LocalPlace:
    """A folder with one subfolder per trial; safe for concurrent processes."""

    def __init__(self, root: str) -> None:
        self.uri = root
        self._root = Path(root)

    def work_folder(self, number: int, epoch: int) -> Path:
        """Return a new, empty folder on the same file system as the checkpoints."""
        folder = self._root / str(number) / f"work-{epoch}"
        with _explained("the folder of a trial cannot be created", folder):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        return folder

    def discard(self, folder: Path) -> None:
        """Delete a working folder, and its trial's folder if that is empty."""
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()

    def save(self, name: str, source: Path) -> None:
        """Store a copy of a folder atomically, complete or absent even after a crash."""
        with _explained("the checkpoint cannot be written", self._root / name):
            self._place(source, name, replaces=True)

    def load(self, name: str, target: Path) -> None:
        """Copy a checkpoint into an empty folder, or raise `UnknownCheckpoint`."""
        source = self._existing(name)
        with _explained("the checkpoint cannot be read", source):
            _copy_tree(source, target)

    def has(self, name: str) -> bool:
        """Return whether a complete checkpoint of this name exists."""
        return (self._root / name).is_dir()

    def copy(self, name: str, to: str) -> None:
        """Copy a checkpoint to another name, unless the copy already exists."""
        if self.has(to):
            return
        source = self._existing(name)
        try:
            with _explained("the checkpoint cannot be copied", source):
                self._place(source, to, replaces=False)
        except CheckpointError:
            self._existing(name)  # raises if it was deleted during the copy
            raise
        if not self.has(name):  # deleted during the copy, which may be incomplete
            self.delete(to)
            raise self._unknown(name)

    def delete(self, name: str) -> None:
        """Delete a checkpoint, if it exists."""
        self._delete(self._root / name)

    def keep_only(self, number: int, epoch: int, keep: Collection[str]) -> None:
        """Delete the leftovers of a trial's leases before `epoch`, except the names in `keep`."""
        folder = self._root / str(number)
        entries = os.listdir(folder) if folder.is_dir() else []
        for entry in entries:
            saved = epoch_of(entry)
            if saved is not None and saved < epoch and f"{number}/{entry}" not in keep:
                self._delete(folder / entry)

    def _place(self, source: Path, name: str, *, replaces: bool) -> None:
        final = self._root / name
        final.parent.mkdir(parents=True, exist_ok=True)
        partial = final.with_name(f".{final.name}.{new_id(4)}")
        try:
            _copy_tree(source, partial, is_durable=True)
            if replaces:
                self._delete(final)
            try:
                partial.rename(final)
            except OSError:
                if replaces or not final.is_dir():
                    raise  # otherwise another process has made the same copy
            sync(final.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _delete(self, path: Path) -> None:
        # Renamed first, so that nobody finds a partial checkpoint.
        gone = path.with_name(f".{path.name.lstrip('.')}.{new_id(4)}")
        with contextlib.suppress(FileNotFoundError):
            path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def _existing(self, name: str) -> Path:
        if not self.has(name):
            raise self._unknown(name)
        return self._root / name

    def _unknown(self, name: str) -> UnknownCheckpoint:
        return UnknownCheckpoint(
            f"no checkpoint {name} in {self.uri}: it was not kept, or was removed; give the "
            "current location of the study's checkpoints."
        )


def _copy_tree(source: Path, target: Path, *, is_durable: bool = False) -> None:
    """Copy a folder's files, following links, and sync them to disk if `is_durable`."""
    target.mkdir(exist_ok=True)
    with os.scandir(source) as entries:
        for entry in entries:
            to = target / entry.name
            if entry.is_dir():
                _copy_tree(Path(entry.path), to, is_durable=is_durable)
                continue
            shutil.copyfile(entry.path, to)
            if is_durable:
                sync(to)
    if is_durable:
        sync(target)


@contextlib.contextmanager
def _explained(what: str, path: Path) -> Iterator[None]:
    """Convert file system errors to `CheckpointError`."""
    try:
        yield
    except (OSError, shutil.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(
            f"{what} ({path}): {reason}; free space there, or give another checkpoints=."
        ) from error
