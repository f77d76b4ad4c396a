"""Narrows a history to some of its trials, for all charts of a study alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tunekit.analysis.charts.samples import cut, number
from tunekit.errors import InvalidArgument
from tunekit.history import History
from tunekit.records import ObjectiveSpec, TrialRecord, TrialState
from tunekit.spaces import Scalar


@dataclass(frozen=True, slots=True)
class TrialFilter:
    """Which trials a chart is about; by default all.

    Attributes:
        branch: `path=value` of a choice that the trial made, as text; long values as a tree cuts
            them.
        states: of the trial; empty for all.
        low, high: bounds of its value of the shown metric; a trial without one is outside.
    """

    branch: str = ""
    states: tuple[TrialState, ...] = ()
    low: float | None = None
    high: float | None = None

    @classmethod
    def parse(
        cls,
        branch: str = "",
        states: str = "",
        low: float | None = None,
        high: float | None = None,
    ) -> TrialFilter:
        """Return the filter that a query asks for.

        Args:
            branch: `path=value`.
            states: separated by commas.
            low: least value.
            high: largest value.

        Raises:
            InvalidArgument: the branch has no value, or a state does not exist.
        """
        if branch and "=" not in branch:
            raise InvalidArgument(f"branch {branch[:80]!r}: expected a form like `model=svm`.")
        known = {str(s): s for s in TrialState}
        names = [s for s in states.split(",") if s]
        if unknown := [s for s in names if s not in known]:
            raise InvalidArgument(
                f"state {unknown[0][:40]!r}: expected some of {', '.join(known)}, separated by "
                "commas."
            )
        return cls(branch, tuple(dict.fromkeys(known[s] for s in names)), low, high)

    def keeps(self, trial: TrialRecord, metric: str) -> bool:
        """Return whether a trial is within the filter, by its value of a metric."""
        if self.states and trial.state not in self.states:
            return False
        if self.branch and not self._is_in_branch(trial):
            return False
        if self.low is None and self.high is None:
            return True
        value = number(trial.metrics.get(metric))
        if value is None or (self.low is not None and value < self.low):
            return False
        return self.high is None or value <= self.high

    def _is_in_branch(self, trial: TrialRecord) -> bool:
        path, _, text = self.branch.partition("=")
        params: Mapping[str, Scalar] = trial.params or {}
        return path in params and cut(str(params[path])) == text


ALL = TrialFilter()


def filtered(history: History, chosen: TrialFilter, objective: ObjectiveSpec) -> History:
    """Return a history of the trials within a filter; the history itself if all are."""
    if chosen == ALL:
        return history
    kept = History(history.objectives, history.constraints, history.target)
    trials = [t for t in history if chosen.keeps(t, objective.metric)]
    kept.update(trials, history.cursor)
    return kept
