"""Orders finished trials by one key."""

from __future__ import annotations

import math
from typing import TypeAlias

from tunekit.history import History
from tunekit.records import TrialRecord, TrialState

Merit: TypeAlias = tuple[int, float, float]
"""(class, violation, loss), less is better; the constants below name the classes."""

FEASIBLE, INFEASIBLE, STOPPED, BROKEN = range(4)
"""Complete and feasible; complete but infeasible; stopped early or run below the target fidelity;
without a result."""

WORST: Merit = (BROKEN, math.inf, math.inf)


def merit(trial: TrialRecord, history: History) -> Merit:
    """Return the key of a finished trial by its first objective.

    Of infeasible trials the one with the smaller violation is better (Deb 2000). A stopped trial
    ranks behind all complete ones, because its result comes from a shorter run.
    """
    objective = history.objectives[0]
    loss = objective.loss(trial.metrics.get(objective.metric, math.nan))
    if math.isnan(loss) or trial.state not in (TrialState.COMPLETE, TrialState.STOPPED):
        return WORST
    if trial.state is TrialState.STOPPED or not history.is_at_target(trial):
        return STOPPED, 0.0, loss
    violation = history.violation(trial)
    return (INFEASIBLE, violation, loss) if violation > 0.0 else (FEASIBLE, 0.0, loss)
