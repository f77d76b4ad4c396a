"""Tells what the model of the trials expects, in units of the result, for a prompt."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunekit.samplers.base import StudyView, sample
from tunekit.samplers.bayesian.model_search import FittedSearch
from tunekit.samplers.bayesian.models import ObjectiveModel
from tunekit.samplers.llm.prompt import ModelState
from tunekit.samplers.random_streams import stream
from tunekit.spaces import Params

N_RANDOM = 4
N_STEPS = 7
"""Values of one parameter between which the expected result is compared."""

N_EFFECTS = 10
_OTHER_STREAM = 0x7374617465  # keeps its points apart from those of the samplers


def model_state(view: StudyView, fitted: FittedSearch | None) -> ModelState:
    """Return the expected results at a few points, and how far each parameter moves them.

    Empty without a model of one objective.
    """
    model = fitted.model if fitted is not None else None
    if not isinstance(model, ObjectiveModel) or view.history.best is None:
        return ModelState()
    rng = stream(view.seed ^ _OTHER_STREAM, len(view.history))
    best = view.history.best.params
    points = [sample(view.space, rng, known=[best] if best else []) for _ in range(N_RANDOM)]
    points = [*([best] if best else []), *points]
    means, deviations = _expected(view, model, points)
    predictions: list[dict[str, Any]] = [
        {"params": dict(p), "expected": _short(m), "sd": _short(s)}
        for p, m, s in zip(points, means.tolist(), deviations.tolist(), strict=True)
    ]
    return ModelState(predictions, _effects(view, model, best) if best else {})


def _expected(
    view: StudyView, model: ObjectiveModel, points: list[Params]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the `(n,)` expected results and their standard deviations.

    The model's losses are y = (min(loss, clip) - mean) / sd, so between two losses below the
    clip, the least and the median one, loss = l0 + (y - y0) (l1 - l0) / (y1 - y0).
    """
    mean, variance = model.gp.predict(model.encoder.encode(points))
    losses, order = model.data.losses[:, 0], np.argsort(model.data.losses[:, 0], kind="stable")
    first, middle = order[0], order[(len(order) - 1) // 2]
    rise = model.y[middle] - model.y[first]
    slope = (losses[middle] - losses[first]) / rise if rise > 0.0 else 0.0
    sign = view.objectives[0].loss(1.0)
    expected = losses[first] + (mean - model.y[first]) * slope
    return sign * expected, np.sqrt(variance) * slope


def _effects(view: StudyView, model: ObjectiveModel, best: Params) -> dict[str, float]:
    """Return path -> range of the expected result along each active parameter."""
    effects = {}
    for path, value in best.items():
        domain = view.space.by_path[path].domain
        values = [domain.from_unit((k + 0.5) / N_STEPS) for k in range(N_STEPS)]
        moved = [
            Params({**best, path: v}) for v in dict.fromkeys([*values, value])
            if not _opens(view, path)
        ]  # fmt: skip
        if len(moved) > 1:
            means, _ = _expected(view, model, moved)
            effects[path] = _short(float(np.ptp(means)))
    ranked = sorted(effects.items(), key=lambda pair: -pair[1])
    return dict(ranked[:N_EFFECTS])


def _opens(view: StudyView, path: str) -> bool:
    """Return whether a parameter activates others, so that it cannot be moved alone."""
    return any(c.parent == path for p in view.space for c in p.conditions)


def _short(value: float) -> float:
    return float(f"{value:.4g}")
