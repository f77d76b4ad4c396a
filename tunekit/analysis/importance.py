"""Estimates how much each parameter mattered for the good results of a study."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from tunekit.analysis.divergence import choice_divergence, number_divergence
from tunekit.errors import InvalidArgument, InvalidParams, NoCompleteTrial
from tunekit.history import History
from tunekit.records import TrialRecord
from tunekit.samplers.evolutionary.dominance import order
from tunekit.spaces import Categorical, Constant, Float, Int, Parameter, Params, Scalar, Space

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_TRIALS = 10
"""Minimum number of complete trials, in total or with a parameter active, for a share."""


def importance(history: History, space: Space, *, quantile: float = 0.25) -> dict[str, float]:
    """Return path -> share of importance, largest first; the shares sum to 1.

    A share measures how much a parameter's values among the best trials differ from its values
    among all trials. A parameter on a branch is evaluated on the trials in which it is active and
    weighted by their share; with fewer than 10 such trials it has no share. With several
    objectives, the best trials are those of the first non-domination layers, and within the last
    of these the ones with the most room around them (crowding distance). Infeasible trials are
    left out.

    Args:
        history: the trials; incomplete ones are ignored.
        space: the space; constants and values outside it are ignored.
        quantile: share of the trials that count as the best, above 0 and below 1.

    Raises:
        InvalidArgument: `quantile` lies outside its range.
        NoCompleteTrial: there are fewer than 10 complete and feasible trials.

    Reference: Watanabe et al., 2023, "PED-ANOVA", arXiv 2304.10255; for conditional parameters
    "Conditional PED-ANOVA", 2026, arXiv 2601.20800. Optuna implements both; with
    one objective the shares are those of its `PedAnovaImportanceEvaluator`.
    """
    feasible = [t for t in history.complete() if history.violation(t) == 0.0]
    return importance_of(feasible, history.losses(feasible), space, quantile=quantile)[0]


def importance_of(
    feasible: Sequence[TrialRecord],
    losses: NDArray[np.float64],
    space: Space,
    *,
    quantile: float = 0.25,
) -> tuple[dict[str, float], NDArray[np.bool_]]:
    """Return the shares of `importance` among some trials, and `(n,)` which are the best.

    Args:
        feasible: complete, feasible trials, such as those of one branch.
        losses: `(n, m)` their objectives, less is better.
        space: see `importance`.
        quantile: see `importance`.

    Raises:
        InvalidArgument: `quantile` lies outside its range.
        NoCompleteTrial: there are fewer than 10 trials.
    """
    if not 0.0 < quantile < 1.0:
        raise InvalidArgument(f"importance: quantile={quantile!r}, expected a number in (0, 1).")
    if len(feasible) < MIN_TRIALS:
        raise NoCompleteTrial(
            f"the importance of parameters needs {MIN_TRIALS} complete, feasible trials, but "
            f"there are {len(feasible)}; run more trials."
        )
    best = _best(losses, quantile)
    params = [t.params or Params() for t in feasible]
    shares = {p.path: _share(p, params, best) for p in space if not isinstance(p.domain, Constant)}
    total = sum(shares.values())
    if total > 0.0:
        shares = {path: value / total for path, value in shares.items()}
    else:
        shares = {path: 1.0 / len(shares) for path in shares}
    return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0]))), best


def _best(losses: NDArray[np.float64], quantile: float) -> NDArray[np.bool_]:
    """Return `(n,)` flags of the best trials; with one objective, ties count as well."""
    n_best = math.ceil(quantile * len(losses))
    if losses.shape[1] == 1:
        loss = losses[:, 0]
        return np.asarray(loss <= np.partition(loss, n_best - 1)[n_best - 1])
    best = np.zeros(len(losses), dtype=bool)
    best[order(losses)[:n_best]] = True
    return best


def _share(p: Parameter, params: Sequence[Params], best: NDArray[np.bool_]) -> float:
    """Return the weighted divergence of a parameter: of its choices, or of its numbers.

    Whether a number with special values takes one of them is a choice of its own.
    """
    rows, values = _valid(p, params)
    if len(rows) < MIN_TRIALS:
        return 0.0
    domain = p.domain
    if isinstance(domain, Categorical):
        n, places = len(domain.choices), np.array([domain.index(v) for v in values])
        if domain.ordered and n > 1:
            return _weighted(rows, best, lambda top: number_divergence(places, top, Int(0, n - 1)))
        return _weighted(rows, best, lambda top: choice_divergence(places, top, n))
    assert isinstance(domain, Float | Int)
    special = list(domain.special)
    switch = np.array([special.index(v) if v in special else len(special) for v in values])
    is_number = switch == len(special)
    numbers = np.array(values, dtype=np.float64)[is_number]
    found = _weighted(rows[is_number], best, lambda top: number_divergence(numbers, top, domain))
    if special:
        found += _weighted(
            rows, best, lambda top: choice_divergence(switch, top, len(special) + 1)
        )
    return found


def _valid(p: Parameter, params: Sequence[Params]) -> tuple[NDArray[np.int64], list[Scalar]]:
    """Return the trials with a value that the space still has, and these values."""
    rows, values = [], []
    for i, point in enumerate(params):
        if p.path in point:
            with suppress(InvalidParams):
                values.append(p.domain.validate(point[p.path], p.path))
                rows.append(i)
    return np.array(rows, dtype=np.int64), values


def _weighted(
    rows: NDArray[np.int64],
    best: NDArray[np.bool_],
    divergence: Callable[[NDArray[np.bool_]], float],
) -> float:
    """Return a divergence times `alpha^2 / beta`, the shares of the best and of all trials in it.

    Reference: "Conditional PED-ANOVA", theorem 4.2.
    """
    top = best[rows]
    if len(rows) < 2 or not top.any():
        return 0.0
    alpha, beta = top.sum() / best.sum(), len(rows) / len(best)
    return float(alpha**2 / beta * divergence(top))
