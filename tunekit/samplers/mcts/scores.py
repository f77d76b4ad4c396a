"""Scores trials by their rank, from 0 (worst or failed) to 1 (best)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tunekit.history import History
from tunekit.records import TrialRecord, TrialState

if TYPE_CHECKING:
    from numpy.typing import NDArray

FAILURES = (TrialState.FAILED, TrialState.DIVERGED)
PENDING = (TrialState.RUNNING, TrialState.PREEMPTED, TrialState.PAUSED)


def scored_trials(history: History) -> tuple[list[TrialRecord], NDArray[np.float64]]:
    """Return the informative trials, by number, and their `(n,)` scores in `[0, 1]`.

    Pending trials (running, preempted or paused) score NaN. Failed and diverged trials are among
    the worst; stopped ones rank by their last result. Lost and cancelled trials are omitted.
    Infeasible trials rank after all feasible ones, by their violation. With several objectives
    trials rank by the number of trials that dominate them.
    """
    trials = [t for t in history if t.params is not None]
    pending = [t for t in trials if t.state in PENDING]
    ended = [t for t in trials if t.state in FAILURES]
    ended += [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.STOPPED)]
    scores = ranked(_order(history, ended))
    found = [*zip(ended, scores.tolist(), strict=True), *((t, np.nan) for t in pending)]
    found.sort(key=lambda pair: pair[0].number)
    return [t for t, _ in found], np.array([s for _, s in found])


def ranked(keys: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `(n,)` scores of `(n,)` keys, evenly spaced by rank from 1 (smallest) to 0.

    Ties share their mean; if all keys are equal, all scores are 1/2.
    """
    if len(keys) == 0:
        return np.zeros(0)
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    if len(counts) == 1:
        return np.full(len(keys), 0.5)
    before = np.cumsum(counts) - counts
    places = before + (counts - 1) / 2
    low, high = places[0], places[-1]
    return np.asarray((high - places[inverse]) / (high - low))


def _order(history: History, trials: Sequence[TrialRecord]) -> NDArray[np.float64]:
    """Return an `(n,)` key per trial: less is better, failures have `inf`."""
    losses = history.losses(trials)
    is_bad = ~np.isfinite(losses).all(axis=1)
    is_bad |= np.array([t.state in FAILURES for t in trials], dtype=bool)
    violation = np.array([history.violation(t) for t in trials])
    keys = np.full(len(trials), np.inf)
    feasible = ~is_bad & (violation == 0)
    infeasible = ~is_bad & (violation > 0) & np.isfinite(violation)
    keys[feasible] = _dense(dominators(losses[feasible]))
    keys[infeasible] = len(trials) + _dense(violation[infeasible])
    return keys


def _dense(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `(n,)` ranks of values from 0, which makes losses comparable with `len(trials)`."""
    if len(values) == 0:
        return values
    return np.unique(values, return_inverse=True)[1].astype(np.float64)


def dominators(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many of `(n, m)` losses dominate each, `(n,)`; for m = 1 the losses themselves.

    Reference: Fonseca & Fleming, 1993, "Genetic algorithms for multiobjective optimization",
    section 3.
    """
    if losses.shape[1] == 1:
        return losses[:, 0]
    return np.array(
        [np.sum((losses <= x).all(axis=1) & (losses < x).any(axis=1)) for x in losses], np.float64
    )
