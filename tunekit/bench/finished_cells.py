"""Stores finished cells as JSON lines; the file survives a kill at any moment."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from tunekit.errors import InvalidArgument

FILE = "cells.jsonl"


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """Identifies one run of one contender on one problem; a rerun skips finished cells.

    Attributes:
        suite_seed: seed of the problem instance.
        contender: label, including options.
        seed: seed of the contender's random streams.
        variant: suite options that distinguish the problem.
    """

    problem: str
    suite_seed: int
    contender: str
    seed: int
    n_trials: int
    workers: int
    variant: str = ""


class FinishedCells:
    """The finished cells of one folder.

    Attributes:
        results: cell -> result as plain JSON; the last result if a cell ran twice.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.results: dict[Cell, Mapping[str, Any]] = {}
        for entry in _entries(self.path):
            self.results[Cell(**entry["cell"])] = entry["result"]

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Open the file for appending.

        Raises:
            InvalidArgument: another process is writing to it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InvalidArgument(
                    f"Another `tunekit bench` is writing to {self.path}; wait for it to end, or "
                    "give another folder."
                ) from None
            _cut_partial_line(file)
            yield Writer(self, file)


class Writer:
    """Appends results and flushes each to disk before `add` returns."""

    def __init__(self, cells: FinishedCells, file: TextIO) -> None:
        self._cells = cells
        self._file = file

    def add(self, cell: Cell, result: Mapping[str, Any]) -> None:
        """Write the result of a cell."""
        self._file.write(json.dumps({"cell": asdict(cell), "result": result}) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._cells.results[cell] = result


def _entries(path: Path) -> Iterator[Mapping[str, Any]]:
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines[:-1], start=1):  # the last line is empty or truncated
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            raise InvalidArgument(
                f"{path}, line {number}: not valid JSON; remove the line or give another folder."
            ) from None


def _cut_partial_line(file: TextIO) -> None:
    """Remove the truncated last line of a killed process."""
    file.seek(0)
    text = file.read()
    whole = text.rfind("\n") + 1
    if whole < len(text):
        file.truncate(len(text[:whole].encode()))
    file.seek(0, os.SEEK_END)
