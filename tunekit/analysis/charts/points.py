"""Charts of params beside results: slices of parameters, and parallel coordinates."""

from __future__ import annotations

from collections.abc import Sequence

from tunekit.analysis.charts.records import ParameterAxis, PointsChart
from tunekit.analysis.charts.samples import cut, good_trials, number, sample
from tunekit.analysis.importance import importance
from tunekit.errors import NoCompleteTrial
from tunekit.history import History
from tunekit.records import ObjectiveSpec, TrialRecord
from tunekit.spaces import Categorical, Constant, Float, Int, Parameter, Space

MAX_AXES = 60


def points_chart(
    history: History,
    space: Space,
    objective: ObjectiveSpec,
    paths: Sequence[str],
    *,
    seq: int,
    most: int,
    n_axes: int,
) -> PointsChart:
    """Return params and results of a sample of the trials that have both params and a state.

    Args:
        history: the trials.
        space: their space.
        objective: the shown metric.
        paths: parameters to show; by default the most important ones.
        seq: of the study.
        most: trials to show.
        n_axes: parameters to show by default.
    """
    axes = _axes(history, space, paths, min(n_axes, MAX_AXES))
    tried = [t for t in history if t.params is not None]
    good = {t.number for t in good_trials(history, objective)}
    shown = sample(tried, most, good)
    return PointsChart(
        seq, len(shown), len(tried), objective.metric, len(space),
        axes=tuple([parameter_axis(p) for p in axes]),
        numbers=tuple([t.number for t in shown]),
        states=tuple([str(t.state) for t in shown]),
        values=tuple([number(t.metrics.get(objective.metric)) for t in shown]),
        columns=tuple([tuple([place_of(p, t) for t in shown]) for p in axes]),
        good=tuple([t.number for t in shown if t.number in good]),
        direction=objective.direction,
    )  # fmt: skip


def _axes(history: History, space: Space, paths: Sequence[str], n: int) -> list[Parameter]:
    if paths:
        return [space.by_path[path] for path in dict.fromkeys(paths) if path in space.by_path][
            :MAX_AXES
        ]
    return by_importance(history, space)[:n]


def by_importance(history: History, space: Space) -> list[Parameter]:
    """Return the parameters that can vary, the most important ones first."""
    varying = [p for p in space if not isinstance(p.domain, Constant)]
    try:
        shares = importance(history, space)
    except NoCompleteTrial:
        shares = {}
    return sorted(varying, key=lambda p: -shares.get(p.path, 0.0))


def parameter_axis(p: Parameter) -> ParameterAxis:
    """Return the axis of a parameter."""
    domain = p.domain
    if isinstance(domain, Categorical):
        return ParameterAxis(p.path, choices=tuple([cut(str(c)) for c in domain.choices[:200]]))
    if isinstance(domain, Float | Int):
        return ParameterAxis(p.path, number(domain.lo), number(domain.hi), bool(domain.log))
    return ParameterAxis(p.path)


def place_of(p: Parameter, trial: TrialRecord) -> float | None:
    """Return a value as a number: of a categorical the place of its choice."""
    if trial.params is None or p.path not in trial.params:
        return None
    value = trial.params[p.path]
    if not isinstance(p.domain, Categorical):
        return number(value)
    return float(p.domain.index(value)) if value in p.domain.choices else None
