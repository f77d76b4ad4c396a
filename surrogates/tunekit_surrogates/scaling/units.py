"""Finds columns whose values are given in two units, or in another than they should be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tunekit_surrogates.scaling.arrays import Floats, Mask
from tunekit_surrogates.scaling.cautions import Caution

FEWEST_TOKENS = 512.0
"""A batch of fewer tokens is more likely one counted in sequences."""

FEWEST_PARAMETERS = 1000.0
"""A model of fewer parameters is more likely one counted in millions or billions."""

HOLE = 100.0
"""A factor between neighbouring values that separates two units rather than two settings."""


def doubts_about(columns: dict[str, Floats], *, in_sequences: bool = False) -> list[Caution]:
    """Return cautions about the units of the columns `bs`, `n` and `d`.

    Raises:
        ValueError: if some models have fewer than 1,000 parameters and others more.
    """
    small = columns["n"] < FEWEST_PARAMETERS
    if small.any() and not small.all():
        raise ValueError(
            f"n runs from {columns['n'].min():g} to {columns['n'].max():g}: {small.sum()} of"
            f" {len(small)} models have fewer than {FEWEST_PARAMETERS:g} parameters; some values"
            " seem to be in millions or billions: give all as the number of parameters."
        )
    cautions = []
    if small.all():
        cautions.append(
            Caution(
                "mixed_units",
                f"n is at most {columns['n'].max():g}; it seems to be in millions or billions,"
                " and the laws and presets count parameters.",
            )
        )
    if not in_sequences and np.median(columns["bs"]) < FEWEST_TOKENS:
        cautions.append(
            Caution(
                "mixed_units",
                f"bs has the median {np.median(columns['bs']):g}; it seems to count sequences,"
                " and the laws count tokens: give sequence_length as well.",
            )
        )
    for name in ("bs", "d"):
        hole = _hole(columns[name])
        if hole is not None:
            cautions.append(
                Caution(
                    "mixed_units",
                    f"{name} has no values between {hole[0]:g} and {hole[1]:g}; the two sides"
                    " seem to be given in different units.",
                )
            )
    return cautions


def _hole(values: Floats) -> tuple[float, float] | None:
    """Return the widest hole between neighbouring values if it is wider than `HOLE`."""
    ordered = np.unique(values)
    if len(ordered) < 2:
        return None
    at = int(np.argmax(ordered[1:] / ordered[:-1]))
    low, high = float(ordered[at]), float(ordered[at + 1])
    return (low, high) if high / low > HOLE else None


def same_runs(columns: Sequence[NDArray[np.generic]]) -> Mask:
    """Return where a run is the first with its values in all columns."""
    seen: set[tuple[object, ...]] = set()
    kept = np.ones(len(columns[0]), dtype=bool)
    for i, values in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        kept[i] = values not in seen
        seen.add(values)
    return kept
