"""The chart of curves: quantiles over many trials, and a few single ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tunekit.analysis.charts.curve_store import CurveStore, StoredCurve
from tunekit.analysis.charts.records import CurveLine, CurvesChart, ReportQuantiles
from tunekit.analysis.charts.samples import good_trials, interval, number, predicted
from tunekit.history import History
from tunekit.records import ObjectiveSpec, TrialRecord, TrialState

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_STEPS = 64
N_LINES = 20
QUANTILES = (5.0, 25.0, 50.0, 75.0, 95.0)


def curves_chart(
    history: History,
    store: CurveStore,
    objective: ObjectiveSpec,
    asked: Sequence[int],
    *,
    seq: int,
    most: int,
) -> CurvesChart:
    """Return bands by state at up to 64 steps, and up to 20 curves: asked, running, best."""
    curves = {n: c for n, c in store.curves.items() if len(c.steps) and history.get(n)}
    steps = _steps(list(curves.values()))
    by_state: dict[str, list[NDArray[np.float64]]] = {}
    rows = {n: _at(c, steps) for n, c in curves.items()}
    for n, row in rows.items():
        if trial := history.get(n):
            by_state.setdefault(str(trial.state), []).append(row)
    chosen = [n for n in _highlighted(history, objective, asked) if n in rows][:most]
    return CurvesChart(
        seq, len(curves), len(history), objective.metric,
        steps=tuple([int(s) for s in steps]),
        bands=tuple([_band(state, np.stack(of)) for state, of in sorted(by_state.items())]),
        lines=tuple(
            [_line(t, objective.metric, steps, rows[n]) for n in chosen if (t := history.get(n))]
        ),
        direction=objective.direction,
    )  # fmt: skip


def _steps(curves: Sequence[StoredCurve]) -> NDArray[np.int64]:
    """Return up to 64 steps from the first to the last one, evenly on a logarithmic scale."""
    if not curves:
        return np.empty(0, dtype=np.int64)
    first = min(c.steps[0] for c in curves)
    span = max(c.steps[-1] for c in curves) - first
    offsets = np.unique(np.round(np.geomspace(1.0, span + 1.0, N_STEPS)).astype(np.int64)) - 1
    return first + offsets


def _at(curve: StoredCurve, steps: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the last value reported up to each step, NaN before the first and after the last."""
    own = np.frombuffer(curve.steps, dtype=np.int64)
    values = np.frombuffer(curve.values, dtype=np.float64)
    place = np.searchsorted(own, steps, side="right") - 1
    found = np.where(place >= 0, values[np.maximum(place, 0)], np.nan)
    # The steps of the chart need not be its own: it counts up to the first one after its last.
    ended = np.searchsorted(steps, own[-1], side="left")
    found[ended + 1 :] = np.nan
    return found


def _band(state: str, rows: NDArray[np.float64]) -> ReportQuantiles:
    finite = np.where(np.isfinite(rows), rows, np.nan)
    counts = np.sum(np.isfinite(finite), axis=0)
    quantiles = np.full((len(QUANTILES), rows.shape[1]), np.nan)
    some = counts > 0
    with np.errstate(over="ignore", invalid="ignore"):  # values near the largest number
        quantiles[:, some] = np.nanpercentile(finite[:, some], QUANTILES, axis=0)
    return ReportQuantiles(
        state,
        tuple([int(n) for n in counts]),
        tuple([tuple([number(float(v)) for v in line]) for line in quantiles]),
    )


def _highlighted(history: History, objective: ObjectiveSpec, asked: Sequence[int]) -> list[int]:
    running = [t.number for t in history.unfinished() if t.state is TrialState.RUNNING]
    best = [t.number for t in good_trials(history, objective)]
    chosen = [*asked[:N_LINES], *best[: N_LINES // 2], *running[-N_LINES // 2 :], *best]
    return list(dict.fromkeys(chosen))[:N_LINES]


def _line(
    trial: TrialRecord, metric: str, steps: NDArray[np.int64], row: NDArray[np.float64]
) -> CurveLine:
    pairs = [(int(s), number(float(v))) for s, v in zip(steps, row, strict=True)]
    kept = [(s, v) for s, v in pairs if v is not None]
    return CurveLine(
        trial.number, str(trial.state), tuple([s for s, _ in kept]), tuple([v for _, v in kept]),
        predicted(trial, metric), interval(trial, metric),
    )  # fmt: skip
