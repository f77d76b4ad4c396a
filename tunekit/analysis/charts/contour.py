"""The chart of two parameters: what a Gaussian process of the trials expects over a grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import LinAlgError

from tunekit.analysis.charts.contour_records import ContourChart
from tunekit.analysis.charts.points import by_importance, parameter_axis, place_of
from tunekit.analysis.charts.samples import good_trials, number, sample
from tunekit.history import History
from tunekit.records import ObjectiveSpec, TrialRecord
from tunekit.samplers.bayesian.fitting import chosen_rows, conditioned
from tunekit.samplers.bayesian.training_data import Standard, TrialRows, structure_of
from tunekit.spaces import Categorical, Constant, Parameter, Space
from tunekit.spaces.encode import Encoder
from tunekit_surrogates.block_kernel import Parameters
from tunekit_surrogates.blocks import BlockStructure
from tunekit_surrogates.tree_gp import HyperparameterPriors, TreeGP, fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_CELLS = 40
"""Values of a parameter in the grid; its cells and the trials are one figure's marks."""
MAX_POINTS = 400
"""Trials shown on the grid."""
MIN_TRIALS = 8
"""Complete trials that a model needs."""
FIT_ROWS, ROWS = 100, 300
"""Trials that the parameters of the model are fitted to, and trials that it knows."""
ITERATIONS = 15
MAX_COLUMNS = 40
"""Parameters up to which the model knows all of them, beyond it the two alone."""


def contour_chart(
    history: History,
    space: Space,
    objective: ObjectiveSpec,
    paths: Sequence[str],
    *,
    seq: int,
    most: int = MAX_POINTS,
) -> ContourChart:
    """Return the expected metric over two parameters, through the best trial that has both.

    Args:
        history: the trials.
        space: their space.
        objective: the shown metric.
        paths: the two parameters; by default the most important ones that a good trial has.
        seq: of the study.
        most: trials to show.
    """
    total = len(history)
    ended = [t for t in history.complete() if _has_result(t, objective)]
    pair = _pair(history, space, objective, paths, ended)
    if pair is None:
        reason = "there are no two parameters that vary and are active in the same trials."
        return ContourChart(seq, 0, total, objective.metric, objective.direction, reason=reason)
    both = [t for t in ended if all(p.path in (t.params or {}) for p in pair)]
    good = {t.number for t in good_trials(history, objective)}
    shown = sample(both, min(most, MAX_POINTS), good)
    chart = ContourChart(
        seq, len(shown), total, objective.metric, objective.direction,
        axes=tuple([parameter_axis(p) for p in pair]),
        numbers=tuple([t.number for t in shown]),
        states=tuple([str(t.state) for t in shown]),
        points_x=tuple([place_of(pair[0], t) for t in shown]),
        points_y=tuple([place_of(pair[1], t) for t in shown]),
        values=tuple([number(t.metrics.get(objective.metric)) for t in shown]),
    )  # fmt: skip
    rows = _Rows.of(history, both, space, objective, pair)
    if len(rows.trials) < MIN_TRIALS:
        reason = f"a model needs {MIN_TRIALS} complete trials with both parameters, "
        return replace(chart, reason=f"{reason}there are {len(rows.trials)}.")
    return _with_model(chart, rows, pair)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Trials as a model learns them.

    Attributes:
        x: `(n, d)` encoded params, NaN where inactive.
        losses: `(n,)`, less is better.
        base: place of the best trial; a feasible one at the target fidelity, if there is one.
    """

    objective: ObjectiveSpec
    encoder: Encoder
    trials: list[TrialRecord]
    x: NDArray[np.float64]
    losses: NDArray[np.float64]
    base: int

    @classmethod
    def of(
        cls,
        history: History,
        trials: Sequence[TrialRecord],
        space: Space,
        objective: ObjectiveSpec,
        pair: Sequence[Parameter],
    ) -> _Rows:
        """Return the rows of the best trials and a spread of the others."""
        losses = np.array([objective.loss(t.metrics[objective.metric]) for t in trials])
        chosen = [trials[i] for i in chosen_rows(losses, ROWS)]
        encoder = Encoder(space)
        found = zip(chosen, TrialRows(encoder).of(chosen), strict=True)
        known = [(t, row) for t, row in found if row is not None]
        columns = [encoder.index(p.path) for p in pair]
        known = [(t, row) for t, row in known if np.isfinite(row[columns]).all()]
        losses = np.array([objective.loss(t.metrics[objective.metric]) for t, _ in known])
        ranks = [
            (history.violation(t) > 0.0, not history.is_at_target(t), loss, i)
            for i, ((t, _), loss) in enumerate(zip(known, losses, strict=True))
        ]
        return cls(
            objective,
            encoder,
            [t for t, _ in known],
            np.array([row for _, row in known]).reshape(len(known), len(encoder)),
            losses,
            min(ranks)[-1] if ranks else 0,
        )


def _with_model(
    chart: ContourChart, rows: _Rows, pair: tuple[Parameter, Parameter]
) -> ContourChart:
    standard = Standard.of(rows.losses)
    columns = [rows.encoder.index(p.path) for p in pair]
    units = [_units(p) for p in pair]
    grid = _grid(rows, columns, units)
    active = np.isfinite(grid[:, columns]).all(axis=1)
    if len(rows.encoder) <= MAX_COLUMNS:
        structure, x = structure_of(rows.encoder), rows.x
    else:
        sizes = structure_of(rows.encoder).sizes
        structure = BlockStructure.flat([sizes[j] for j in columns])
        x, grid = rows.x[:, columns], grid[:, columns]
    gp = _fitted(structure, x, standard.scaled(rows.losses))
    mean, sd = np.full(len(grid), np.nan), np.full(len(grid), np.nan)
    scaled, variance = gp.predict(grid[active])
    sign = rows.objective.loss(1.0)
    mean[active] = sign * standard.losses(scaled)
    sd[active] = np.sqrt(np.maximum(variance, 0.0)) * standard.spread * standard.size
    shape = (len(units[1]), len(units[0]))
    return replace(
        chart,
        base=rows.trials[rows.base].number,
        x=_places(rows, columns[0], pair[0], units[0]),
        y=_places(rows, columns[1], pair[1], units[1]),
        mean=_table(mean.reshape(shape)),
        sd=_table(sd.reshape(shape)),
        n_fitted=len(rows.trials),
    )


def _fitted(structure: BlockStructure, x: NDArray[np.float64], y: NDArray[np.float64]) -> TreeGP:
    few = chosen_rows(y, FIT_ROWS)
    priors = HyperparameterPriors()
    try:
        parameters = fit(structure, x[few], y[few], iterations=ITERATIONS).parameters
    except LinAlgError:
        parameters = Parameters.from_array(priors.of(structure)[0], x.shape[1])
    return conditioned(structure, parameters, x, y)


def _units(p: Parameter) -> NDArray[np.float64]:
    """Return the coordinates of the grid along a parameter: one for each choice, or evenly."""
    domain = p.domain
    if isinstance(domain, Categorical):
        return np.array([domain.to_unit(c) for c in domain.choices[:N_CELLS]])
    return np.linspace(0.0, 1.0, N_CELLS)


def _grid(
    rows: _Rows, columns: Sequence[int], units: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return `(ny * nx, d)` rows of the base with other values of the two, NaN where inactive."""
    y, x = np.meshgrid(units[1], units[0], indexing="ij")
    grid = np.repeat(rows.x[rows.base : rows.base + 1], x.size, axis=0)
    grid[:, columns[0]], grid[:, columns[1]] = x.ravel(), y.ravel()
    paths = {rows.encoder.columns[j].path for j in columns}
    opens = any(c.parent in paths for p in rows.encoder.space for c in p.conditions)
    # A choice that opens or closes branches changes which other columns are active.
    return rows.encoder.encode(rows.encoder.decode(grid)) if opens else grid


def _places(
    rows: _Rows, column: int, p: Parameter, units: NDArray[np.float64]
) -> tuple[float, ...]:
    if isinstance(p.domain, Categorical):
        return tuple([float(i) for i in range(len(units))])
    return tuple([number(v) or 0.0 for v in rows.encoder.values(column, units)])


def _table(values: NDArray[np.float64]) -> tuple[tuple[float | None, ...], ...]:
    return tuple([tuple([number(float(f"{v:.5g}")) for v in row]) for row in values.tolist()])


def _has_result(trial: TrialRecord, objective: ObjectiveSpec) -> bool:
    return math.isfinite(trial.metrics.get(objective.metric, math.nan))


def _pair(
    history: History,
    space: Space,
    objective: ObjectiveSpec,
    paths: Sequence[str],
    ended: Sequence[TrialRecord],
) -> tuple[Parameter, Parameter] | None:
    """Return the asked parameters, or the first two by importance that the best trial has."""
    if paths:
        asked = [space.by_path[p] for p in dict.fromkeys(paths) if p in space.by_path]
        asked = [p for p in asked if not isinstance(p.domain, Constant)]
        return (asked[0], asked[1]) if len(asked) > 1 else None
    best = min(ended, key=lambda t: objective.loss(t.metrics[objective.metric]), default=None)
    if best is None:
        return None
    order = by_importance(history, space)
    active = [p for p in order if p.path in (best.params or {})]
    # Numbers first: a grid over them says more than one over few choices.
    active.sort(key=lambda p: isinstance(p.domain, Categorical))
    return (active[0], active[1]) if len(active) > 1 else None
