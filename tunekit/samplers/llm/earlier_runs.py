"""Ranks points for a new workload by what was measured under earlier ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tunekit.checks import is_number
from tunekit.errors import MissingExtra
from tunekit.samplers.llm.similar import EarlierWorkload, Profile
from tunekit.spaces import Params, Space
from tunekit.spaces.encode import Encoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST = 20
"""Fewest runs to learn from."""


class EarlierRuns:
    """Expects of a point how good it is among those of a workload, from 0 (best) to 1.

    Losses are scaled from 0 to 1 within each workload, so that slow workloads do not count more.

    Args:
        space: of the points.
        workloads: earlier ones, with their runs.

    Reference: Huang et al., 2024, "LLMTune", section on cheaper labels: random forest and gradient
    boosting, averaged, on knobs and features of the workload.
    """

    def __init__(self, space: Space, workloads: Sequence[EarlierWorkload]) -> None:
        self._encoder = Encoder(space)
        used = [w for w in workloads if len(w.runs) > 1]
        numbers = {f for w in used for f, v in w.profile.items() if is_number(v)}
        self._features = sorted(numbers)
        rows, losses = [], []
        for w in used:
            own = np.array([loss for _, loss in w.runs])
            width = float(own.max() - own.min())
            losses.append((own - own.min()) / width if width > 0.0 else np.zeros(len(own)))
            rows.append(self._rows([p for p, _ in w.runs], w.profile))
        self.n = sum(len(x) for x in losses)
        self._model: Any = None
        if self.n >= LEAST:
            self._model = _regressor().fit(np.concatenate(rows), np.concatenate(losses))

    def expected(self, points: Sequence[Params], profile: Profile) -> list[float] | None:
        """Return what is expected of each point; `None` where too few runs are known."""
        if self._model is None or not points:
            return None
        found: list[float] = self._model.predict(self._rows(points, profile)).tolist()
        return found

    def _rows(self, points: Sequence[Params], profile: Profile) -> NDArray[np.float64]:
        """Return points with the features of a workload; -1 where a parameter is inactive."""
        knobs = np.nan_to_num(self._encoder.encode(points), nan=-1.0)
        values = [float(v) if is_number(v := profile.get(f)) else -1.0 for f in self._features]
        return np.hstack([knobs, np.tile(values, (len(points), 1))])


def _regressor() -> Any:
    try:
        from sklearn.ensemble import (
            GradientBoostingRegressor,
            RandomForestRegressor,
            VotingRegressor,
        )
    except ImportError:
        raise MissingExtra("sklearn", "ranking by earlier workloads") from None
    forest = RandomForestRegressor(500, random_state=0)
    return VotingRegressor(
        [("forest", forest), ("boosting", GradientBoostingRegressor(random_state=0))]
    )
