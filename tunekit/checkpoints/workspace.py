"""Manages the working folder of a running trial and saves checkpoints of it."""

from __future__ import annotations

import os
from pathlib import Path

from tunekit.checkpoints.base import checkpoint_name
from tunekit.checkpoints.places import open_place
from tunekit.errors import InvalidArgument


class Workspace:
    """The working folder of one run of a trial, created on first use.

    Args:
        uri: location of the study's checkpoints.
        number: of the trial.
        epoch: of its lease.
        start: name of the checkpoint that it starts from, if any.
        kept: names of all checkpoints to keep from earlier runs of the trial.
    """

    def __init__(
        self, uri: str, number: int, epoch: int, *, start: str | None, kept: tuple[str, ...]
    ) -> None:
        self._place = open_place(uri)
        self._number = number
        self._epoch = epoch
        self._start = start
        self._kept = kept
        self._folder: Path | None = None

    @property
    def folder(self) -> Path:
        """Return the folder, initially with the content of the trial's start checkpoint.

        Raises:
            UnknownCheckpoint: the start checkpoint no longer exists.
            CheckpointError: the file system refuses access.
        """
        if self._folder is None:
            keep = {*self._kept, *([self._start] if self._start else [])}
            self._place.keep_only(self._number, self._epoch, keep)
            folder = self._place.work_folder(self._number, self._epoch)
            try:
                if self._start is not None:
                    self._place.load(self._start, folder)
            except BaseException:
                self._place.discard(folder)
                raise
            self._folder = folder
        return self._folder

    def save(self, step: int, source: str | Path | None = None) -> None:
        """Save a complete checkpoint of a step, from the folder or another file or folder.

        Raises:
            InvalidArgument: there is nothing to save.
            CheckpointError: the file system refuses, for example on a full disk; earlier
                checkpoints are unaffected.
        """
        path = self.folder if source is None else Path(source)
        name = checkpoint_name(self._number, step, self._epoch)
        if path.is_dir():
            if not any(path.iterdir()):
                raise InvalidArgument(
                    f"checkpoint of step {step}: {path} is empty, expected files in it; write "
                    "them to trial.checkpoint_dir first."
                )
            self._place.save(name, path)
            return
        if not path.is_file():
            raise InvalidArgument(
                f"checkpoint of step {step}: {str(path)!r} is neither a file nor a folder; write "
                "it first, or give checkpoint=True to save trial.checkpoint_dir."
            )
        from tempfile import TemporaryDirectory

        with TemporaryDirectory(prefix="tunekit-") as folder:
            os.symlink(path.absolute(), Path(folder) / path.name)
            self._place.save(name, Path(folder))

    def close(self) -> None:
        """Delete the folder; the checkpoints stay."""
        if self._folder is not None:
            self._place.discard(self._folder)
            self._folder = None
