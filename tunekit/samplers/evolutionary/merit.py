"""How good a finished trial is beside another: one key that orders them all."""

from __future__ import annotations

import math
from typing import TypeAlias

from tunekit.history import History
from tunekit.records import TrialRecord, TrialState

Merit: TypeAlias = tuple[int, float, float]
"""(class, violation, loss); the lesser is the better. See the constants for the classes."""

FEASIBLE, INFEASIBLE, STOPPED, BROKEN = range(4)
"""Complete and within the constraints; complete but outside; stopped early, or run at less than
the target fidelity; without a result."""

WORST: Merit = (BROKEN, math.inf, math.inf)


def merit(trial: TrialRecord, history: History) -> Merit:
    """Return the key of a finished trial by its first objective.

    Of infeasible trials the one with the smaller violation is better (Deb 2000); a trial that a
    stopper ended stands behind all complete ones, since its result is one of a shorter run.
    """
    objective = history.objectives[0]
    loss = objective.loss(trial.metrics.get(objective.metric, math.nan))
    if math.isnan(loss) or trial.state not in (TrialState.COMPLETE, TrialState.STOPPED):
        return WORST
    if trial.state is TrialState.STOPPED or not history.is_at_target(trial):
        return STOPPED, 0.0, loss
    violation = history.violation(trial)
    return (INFEASIBLE, violation, loss) if violation > 0.0 else (FEASIBLE, 0.0, loss)
