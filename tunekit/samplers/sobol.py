"""`sobol`: scrambled Sobol points, which cover the space more evenly than random ones.

Reference: Owen, 1998, "Scrambling Sobol' and Niederreiter-Xing points"; the points are SciPy's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tunekit.records import Proposal
from tunekit.samplers.base import StudyView, held, keeping, known_points, repaired, sample
from tunekit.samplers.random_streams import stream
from tunekit.spaces import Constant, Params, Space, walk

if TYPE_CHECKING:
    from scipy.stats import qmc

SCRAMBLE = (1 << 64) - 1
"""Takes the place of a trial number in the key of the scrambling stream; no trial has it."""

MAX_POINTS = 1 << 30
"""Number of points of SciPy's 30-bit sequence."""

MAX_DIMENSIONS = 21201
"""Number of dimensions of SciPy's direction numbers (`qmc.Sobol.MAXDIM`)."""


class SobolSampler:
    """Proposes point k of one scrambled Sobol sequence for trial k.

    Every parameter of the tree except constants has its own dimension, so that each branch is
    covered evenly as well. The study's seed keys the scrambling.
    """

    name = "sobol"
    may_end = False

    def __init__(self) -> None:
        self._key: tuple[int, int] | None = None
        self._sequence: qmc.Sobol | None = None

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number; none depends on another trial.

        A point that violates a constraint is repaired with as few changes as possible.

        Raises:
            InvalidSpace: no point satisfies the constraints of the space.
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
                f"{MAX_POINTS} points, but dimension {len(dimensions)}, point {number} is needed"
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
        why = f'Sobol point {number}, repaired to satisfy "{broken[0]}"'
        return Proposal(point, self.name, why)

    def _point(self, seed: int, n_dimensions: int, number: int) -> NDArray[np.float64]:
        """Return point `number` of the sequence, `(n_dimensions,)`; fastest in ascending order."""
        if self._sequence is None or self._key != (seed, n_dimensions):
            from scipy.stats import qmc  # takes most of a second, so only when a point is needed

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
