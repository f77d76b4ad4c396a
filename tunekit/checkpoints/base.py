"""Where checkpoints are kept, as a contract: folders that are complete or not there.

A name is relative, `<trial>/<step>-<epoch>`, so that a root which was moved works. The epoch is
that of the lease under which it was saved: a worker that lost its lease and does not know it
cannot overwrite what the next one saves.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

from tunekit.errors import InvalidArgument
from tunekit.records import Checkpoint, StudyRecord

BRANCH_EPOCH = 0
"""No lease has it: the epoch of the copy that a branched trial begins from."""


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """Where a study keeps the checkpoints of its trials, and which of them.

    Args:
        root: a folder, which all workers see under this path, or a URI that pyarrow or fsspec
            understands, such as `s3://bucket/runs`. It is not stored with the study.
        keep_best: so many of each trial's checkpoints with the best values of the first
            objective are kept beside its last one; the others are deleted.

    Raises:
        InvalidArgument: an empty root, or a number that is no whole number from 0.
    """

    root: str | Path
    keep_best: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.root, str | Path) or not str(self.root).strip():
            raise InvalidArgument(
                f"checkpoints={self.root!r}, expected a folder or a URI; give such as "
                '"checkpoints" or "s3://bucket/checkpoints".'
            )
        n = self.keep_best
        if isinstance(n, bool) or not isinstance(n, int) or n < 0:
            raise InvalidArgument(f"keep_best={n!r}, expected a whole number from 0.")
        text = str(self.root).removeprefix("file://")
        if "://" not in text:
            text = os.path.abspath(os.path.expanduser(text))
        object.__setattr__(self, "root", text)

    def of_study(self, study: StudyRecord) -> str:
        """Return the folder or URI of one study.

        Its name tells apart studies that have the same name in several storages, and those
        that were deleted and made again.
        """
        name = study.spec.name
        key = f"{name}|{study.created!r}|{study.spec.seed}"
        digest = blake2b(key.encode(errors="surrogatepass"), digest_size=5).hexdigest()
        readable = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:60]
        return f"{str(self.root).rstrip('/')}/{readable or 'study'}-{digest}"


class Place(Protocol):
    """Keeps checkpoints under relative names; `CheckpointError` where that fails.

    Attributes:
        uri: what `places.open_place` opens again, in another process.
    """

    uri: str

    def work_folder(self, number: int, epoch: int) -> Path:
        """Return a new, empty local folder for a trial to write in."""
        ...

    def discard(self, folder: Path) -> None:
        """Delete a working folder."""
        ...

    def save(self, name: str, source: Path) -> None:
        """Copy a folder; whoever sees the name sees all of it, also after a crash."""
        ...

    def load(self, name: str, target: Path) -> None:
        """Copy a checkpoint into an empty local folder.

        Raises:
            UnknownCheckpoint: it is not there.
        """
        ...

    def has(self, name: str) -> bool:
        """Return whether there is a complete checkpoint of that name."""
        ...

    def copy(self, name: str, to: str) -> None:
        """Copy a checkpoint to another name, unless that is there already.

        Raises:
            UnknownCheckpoint: it is not there, or vanished meanwhile.
        """
        ...

    def delete(self, name: str) -> None:
        """Delete a checkpoint, if it is there."""
        ...

    def tidy(self, number: int, epoch: int, keep: Collection[str]) -> None:
        """Delete what earlier leases of a trial than `epoch` have left, but for these names."""
        ...


def checkpoint_name(number: int, step: int, epoch: int) -> str:
    """Return the relative name of a checkpoint."""
    return f"{number}/{step}-{epoch}"


def epoch_of(entry: str) -> int | None:
    """Return the epoch in the last part of a name, also of one that is being written."""
    found = re.fullmatch(r"\.?(?:\d+|work)-(\d+)(?:\..*)?", entry)
    return int(found[1]) if found else None


def retained(
    checkpoints: Collection[Checkpoint], *, sign: float, keep_best: int
) -> list[Checkpoint]:
    """Return the checkpoints to keep, in their order: the best ones and the last.

    Args:
        checkpoints: in the order of saving.
        sign: 1 where less is better, -1 where more is.
        keep_best: how many beside the last; ties go to the older one.
    """
    listed = list(checkpoints)
    rated = [(sign * c.value, i) for i, c in enumerate(listed) if c.value is not None]
    kept = {i for _, i in sorted(rated)[:keep_best]} | {len(listed) - 1}
    return [c for i, c in enumerate(listed) if i in kept]
