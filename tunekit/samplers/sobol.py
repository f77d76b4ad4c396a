"""Scrambled Sobol points: random search that leaves no holes.

Reference: Owen, 1998, "Scrambling Sobol' and Niederreiter-Xing points"; the points are SciPy's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tunekit.random_streams import stream
from tunekit.records import Proposal
from tunekit.samplers.base import StudyView, held, keeping, known_points, repaired, sample
from tunekit.spaces import Constant, Params, Space, walk

if TYPE_CHECKING:
    from scipy.stats import qmc

SCRAMBLE = (1 << 64) - 1
"""The place of a trial number in the key of the stream that scrambles; no trial has it."""

MAX_POINTS = 1 << 30
"""How many points SciPy's sequence has with its 30 bits."""

MAX_DIMENSIONS = 21201
"""How many dimensions SciPy's direction numbers are for (`qmc.Sobol.MAXDIM`)."""


class SobolSampler:
    """Proposes point k of one scrambled Sobol sequence to trial k.

    Every parameter of the tree but the constants has a dimension of its own, so that each branch
    is covered evenly, too. The scrambling is keyed by the study's seed.
    """

    name = "sobol"

    def __init__(self) -> None:
        self._key: tuple[int, int] | None = None
        self._sequence: qmc.Sobol | None = None

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number; none depends on another trial.

        A point that breaks a constraint of the space is changed as far as that needs it.

        Raises:
            InvalidSpace: no point was found that satisfies the constraints of the space.
        """
        dimensions = [p.path for p in view.space if not isinstance(p.domain, Constant)]
        return [self._propose(view, number, dimensions) for number in numbers]

    def _propose(self, view: StudyView, number: int, dimensions: list[str]) -> Proposal:
        fixed = held(view, number)
        if not dimensions:
            point = sample(view.space, stream(view.seed, number))
            return Proposal(point, self.name, "no choice")
        if len(dimensions) > MAX_DIMENSIONS or number >= MAX_POINTS:
            why = (
                f"a random draw: Sobol's sequence has {MAX_DIMENSIONS} dimensions and "
                f"{MAX_POINTS} points, asked were dimension {len(dimensions)}, point {number}"
            )
            rng = stream(view.seed, number)
            point = sample(view.space, rng, fixed, known=known_points(view))
            return Proposal(point, self.name, why)
        unit = self._point(view.seed, len(dimensions), number)
        point = _placed(view.space, dict(zip(dimensions, unit.tolist(), strict=True)), fixed)
        broken = view.space.violated(point)
        if not broken:
            return Proposal(point, self.name, f"point {number} of a scrambled Sobol sequence")
        rng = stream(view.seed, number)
        point = repaired(view.space, point, rng, fixed) or sample(
            view.space, rng, fixed, known=known_points(view)
        )
        why = f'Sobol point {number}, changed as far as "{broken[0]}" needs it'
        return Proposal(point, self.name, why)

    def _point(self, seed: int, n_dimensions: int, number: int) -> NDArray[np.float64]:
        """Return point `number`; to go on from the last one is cheap, to go back is not dear."""
        if self._sequence is None or self._key != (seed, n_dimensions):
            from scipy.stats import qmc  # most of a second: only when a point is asked for

            self._key = (seed, n_dimensions)
            key = int(stream(seed, SCRAMBLE).integers(2**63))
            self._sequence = qmc.Sobol(n_dimensions, scramble=True, seed=key)
        if self._sequence.num_generated > number:
            self._sequence.reset()
        if self._sequence.num_generated < number:
            self._sequence.fast_forward(number - self._sequence.num_generated)
        return np.asarray(self._sequence.random(1)[0], dtype=np.float64)


def _placed(space: Space, unit: dict[str, float], fixed: Params | None) -> Params:
    return walk(space, keeping(fixed, lambda p, _: p.domain.from_unit(unit[p.path])))
