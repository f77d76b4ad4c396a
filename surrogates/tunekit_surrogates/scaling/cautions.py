"""Named warnings that travel with a result instead of being printed once and lost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

CautionName = Literal[
    "counting",
    "diverged_runs",
    "duplicated_runs",
    "edge_of_grid",
    "extrapolation",
    "few_cells",
    "missing_values",
    "mixed_units",
    "one_d",
    "one_n",
    "one_ratio",
    "one_setting",
    "scattered_runs",
    "unfinished_runs",
    "unidentified",
]


@dataclass(frozen=True, slots=True)
class Caution:
    """One doubt about a result: a fixed name for programs, a sentence for people.

    Attributes:
        name: one of `CautionName`; stable, so that a program can act on it.
        sentence: what was found, and what to do about it.
    """

    name: CautionName
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def merged(*groups: Iterable[Caution]) -> tuple[Caution, ...]:
    """Return the cautions of all groups in order, each once."""
    return tuple(dict.fromkeys(caution for group in groups for caution in group))
