"""The contract of checkpoint stores: folders that are complete or absent.

A name is relative, `<trial>/<step>-<epoch>`, so that a moved root keeps working. The epoch is that
of the lease under which the checkpoint was saved: a worker that unknowingly lost its lease cannot
overwrite what the next worker saves.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tunekit.checks import check_whole, is_whole, shown
from tunekit.errors import InvalidArgument
from tunekit.identifiers import digest
from tunekit.records import Checkpoint, StudyRecord

BRANCH_EPOCH = 0
"""Epoch of the copy that a branched trial starts from; no lease has it."""


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """Sets where a study stores checkpoints, and which ones it keeps.

    Args:
        root: a folder that all workers see under the same path, or a URI that pyarrow or fsspec
            supports, such as `s3://bucket/runs`. It is not stored with the study.
        keep_best: number of checkpoints with the best values of the first objective to keep per
            trial, in addition to its last one.
        keep_every: keep those whose step is a multiple of this, too, to branch from them later;
            `None` keeps no others: they are deleted.

    Raises:
        InvalidArgument: `root` is empty, `keep_best` is not a whole number of 0 or more, or
            `keep_every` not one of 1 or more.
    """

    root: str | Path
    keep_best: int = field(default=1, kw_only=True)
    keep_every: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.root, str | Path) or not str(self.root).strip():
            raise InvalidArgument(
                f"checkpoints={shown(self.root)}, expected a folder or a URI, such as "
                '"checkpoints" or "s3://bucket/checkpoints".'
            )
        n = self.keep_best
        if not is_whole(n) or n < 0:
            raise InvalidArgument(f"keep_best={n!r}, expected a whole number of 0 or more.")
        check_whole(self.keep_every, "keep_every", low=1, optional=True)
        text = str(self.root).removeprefix("file://")
        if "://" not in text:
            text = os.path.abspath(os.path.expanduser(text))
        object.__setattr__(self, "root", text)

    def of_study(self, study: StudyRecord) -> str:
        """Return the folder or URI of one study.

        Its name distinguishes studies of the same name in several storages, and studies that
        were deleted and created again.
        """
        name = study.spec.first_name  # a renamed study keeps its place
        key = f"{name}|{study.created!r}|{study.spec.seed}"
        mark = digest(key.encode(errors="surrogatepass"), n_bytes=5).hex()
        readable = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:60]
        return f"{str(self.root).rstrip('/')}/{readable or 'study'}-{mark}"


class Place(Protocol):
    """Stores checkpoints under relative names; failures raise `CheckpointError`.

    Attributes:
        uri: URI that `places.open_place` opens in another process.
    """

    uri: str

    def work_folder(self, number: int, epoch: int) -> Path:
        """Return a new, empty local folder for a trial to write to."""
        ...

    def discard(self, folder: Path) -> None:
        """Delete a working folder."""
        ...

    def save(self, name: str, source: Path) -> None:
        """Store a copy of a folder atomically, complete or absent even after a crash."""
        ...

    def load(self, name: str, target: Path) -> None:
        """Copy a checkpoint into an empty local folder.

        Raises:
            UnknownCheckpoint: the checkpoint does not exist.
        """
        ...

    def has(self, name: str) -> bool:
        """Return whether a complete checkpoint of this name exists."""
        ...

    def copy(self, name: str, to: str) -> None:
        """Copy a checkpoint to another name, unless the copy already exists.

        Raises:
            UnknownCheckpoint: the checkpoint does not exist, or disappeared during the copy.
        """
        ...

    def delete(self, name: str) -> None:
        """Delete a checkpoint, if it exists."""
        ...

    def keep_only(self, number: int, epoch: int, keep: Collection[str]) -> None:
        """Delete the leftovers of a trial's leases before `epoch`, except the names in `keep`."""
        ...


def checkpoint_name(number: int, step: int, epoch: int) -> str:
    """Return the relative name of a checkpoint."""
    return f"{number}/{step}-{epoch}"


def epoch_of(entry: str) -> int | None:
    """Return the epoch in the last part of a name, also of an unfinished checkpoint."""
    found = re.fullmatch(r"\.?(?:\d+|work)-(\d+)(?:\..*)?", entry)
    return int(found[1]) if found else None


def retained(
    checkpoints: Collection[Checkpoint],
    *,
    sign: float,
    keep_best: int,
    keep_every: int | None = None,
) -> list[Checkpoint]:
    """Return the checkpoints to keep, in order: the best ones, the regular ones and the last.

    Args:
        checkpoints: all checkpoints, in the order saved.
        sign: 1 if less is better, -1 if more is.
        keep_best: number to keep besides the last; ties go to the older one.
        keep_every: keep all whose step is a multiple of this.
    """
    listed = list(checkpoints)
    rated = [(sign * c.value, i) for i, c in enumerate(listed) if c.value is not None]
    kept = {i for _, i in sorted(rated)[:keep_best]} | {len(listed) - 1}
    if keep_every is not None:
        kept |= {i for i, c in enumerate(listed) if c.step % keep_every == 0}
    return [c for i, c in enumerate(listed) if i in kept]
