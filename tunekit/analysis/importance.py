"""Estimates how much each parameter mattered for the good results of a study."""

from __future__ import annotations

import warnings
from collections import Counter

from tunekit.errors import InvalidArgument, MissingExtra, NoCompleteTrial
from tunekit.history import History
from tunekit.spaces import Space

MIN_TRIALS = 10
"""Minimum number of complete trials, in total or with a parameter active, for a share."""


def importance(history: History, space: Space, *, quantile: float = 0.25) -> dict[str, float]:
    """Return path -> share of importance, largest first; the shares sum to 1.

    A share measures how much a parameter's values among the best trials differ from its values
    among all trials. A parameter on a branch is evaluated on the trials in which it is active and
    weighted by their share; with fewer than 10 such trials it has no share. With several
    objectives, the best trials are those that the fewest others dominate. Infeasible trials are
    left out.

    Args:
        history: the trials; incomplete ones are ignored.
        space: the space; constants and values outside it are ignored.
        quantile: share of the trials that count as the best, above 0 and below 1.

    Raises:
        InvalidArgument: `quantile` lies outside its range.
        NoCompleteTrial: there are fewer than 10 complete and feasible trials.
        MissingExtra: Optuna is not installed.

    Reference: Watanabe et al., 2023, "PED-ANOVA", arXiv 2304.10255; for conditional parameters
    "Conditional PED-ANOVA", 2026, arXiv 2601.20800. Optuna implements both.
    """
    if not 0.0 < quantile < 1.0:
        raise InvalidArgument(f"importance: quantile={quantile!r}, expected a number in (0, 1).")
    try:
        from optuna.importance import PedAnovaImportanceEvaluator
    except ImportError:
        raise MissingExtra("optuna", "The importance of parameters") from None
    from tunekit.samplers.optuna_bridge.codec import SPECIAL, Codec, told_trials
    from tunekit.samplers.optuna_bridge.storage import told_study

    feasible = [t for t in history.complete() if history.violation(t) == 0.0]
    if len(feasible) < MIN_TRIALS:
        raise NoCompleteTrial(
            f"the importance of parameters needs {MIN_TRIALS} complete, feasible trials, but "
            f"there are {len(feasible)}; run more trials."
        )
    codec = Codec(space)
    study, _ = told_study(told_trials(feasible, history, codec), history.objectives)
    with warnings.catch_warnings():
        # It warns about branches with one trial and ties, where shares are equal or 0.
        warnings.simplefilter("ignore", UserWarning)
        raw = PedAnovaImportanceEvaluator(target_quantile=quantile).evaluate(study)
    shares = dict.fromkeys(codec.asked, 0.0)
    active = Counter(path for t in feasible for path in t.params or ())
    for name, value in raw.items():
        path = name.removesuffix(SPECIAL)
        if active[path] >= MIN_TRIALS:
            shares[path] += value
    total = sum(shares.values())
    if total > 0.0:
        shares = {path: value / total for path, value in shares.items()}
    else:
        shares = {path: 1.0 / len(shares) for path in shares}
    return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))
