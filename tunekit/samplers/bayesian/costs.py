"""The options of a sampler that takes the cost of trials into account.

Costs are opt-in. A proposal remains a pure function of the stored trials, including their
durations, so a study replays. But two runs of a program never take the same seconds, so a second
run from the same seed proposes different points. `tunekit.samplers.bayesian.cost_model` learns
from them.
"""

from __future__ import annotations

from tunekit.checks import check_number, check_whole
from tunekit.errors import InvalidArgument

SECONDS = "seconds"


class Costs:
    """Options of a sampler that takes the cost of trials into account.

    Args:
        source: `"seconds"`, or the name of a positive metric that trials report; `None` to
            ignore costs.
        budget: planned number of trials of the study.
        cost_budget: planned total cost, in the unit of the costs. Without either budget, the
            remaining budget is assumed to equal the amount spent: the exponent falls from 1
            towards 1/2.

    Raises:
        InvalidArgument: an option has the wrong type, both budgets are given, or a budget has no
            source.
    """

    def __init__(
        self, source: str | None, *, budget: int | None = None, cost_budget: float | None = None
    ) -> None:
        if source is not None and (not isinstance(source, str) or not source):
            raise InvalidArgument(
                f'bayesian: cost={source!r}, expected "seconds", the name of a metric, or None.'
            )
        if source is None and (budget is not None or cost_budget is not None):
            raise InvalidArgument(
                "bayesian: budget= and cost_budget= set how long the cost of trials matters; "
                'also give cost="seconds" or cost= with the name of a metric.'
            )
        if budget is not None and cost_budget is not None:
            raise InvalidArgument(
                "bayesian: got both budget= and cost_budget=, expected one; drop the other."
            )
        if budget is not None:
            check_whole(budget, "bayesian: budget", low=1)
        if cost_budget is not None:
            check_number(cost_budget, "bayesian: cost_budget", low=0)
        self.source, self.budget, self.cost_budget = source, budget, cost_budget
