"""Random streams of trials, keyed by the study's seed and the trial's number."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from tunekit.samplers.philox import MASK, Philox

if TYPE_CHECKING:
    import numpy as np

Draws: TypeAlias = "Philox | np.random.Generator"
"""A stream of either kind; both have `random()` and `integers(high)`."""


def stream(seed: int, number: int) -> np.random.Generator:
    """Return the random generator of one trial, the same in every process and on every day."""
    import numpy as np

    return np.random.Generator(np.random.Philox(key=np.array([seed & MASK, number], np.uint64)))


def light_stream(seed: int, number: int) -> Philox:
    """Return the numbers of `stream`, for a few draws without NumPy."""
    return Philox((seed & MASK, number))


def in_numpy(draws: Draws) -> np.random.Generator:
    """Return a stream as NumPy's generator, which continues where the stream stands."""
    return draws.to_numpy() if isinstance(draws, Philox) else draws
