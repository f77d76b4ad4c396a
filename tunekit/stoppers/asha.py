"""ASHA: only the best share of the trials that reach a rung continues."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from tunekit.checks import check_number
from tunekit.errors import InvalidArgument
from tunekit.records import CONTINUE, Decision, ObjectiveSpec, TrialState
from tunekit.stoppers.base import CurveView
from tunekit.stoppers.losses import LossCurveReader, Unit, as_metrics, shown
from tunekit.stoppers.options import MetricStopper, check_unit
from tunekit.stoppers.rungs import Ladder, RungStanding

Mode: TypeAlias = Literal["stop", "promote"]


@dataclass(eq=False, kw_only=True)
class AshaStopper(MetricStopper):
    """Lets a trial pass a rung if it is among the best `1 / eta` of those that reached it.

    Rungs lie at `min_resource * eta**k`. Trials never wait for others: the first trial at a rung
    continues if its value there is finite. With `mode="stop"` a trial that falls behind is
    stopped, so verdicts based on few trials may be harsh. With `mode="promote"` it is paused at
    its checkpoint and resumes once enough others have turned out worse, which requires an
    objective that saves checkpoints.

    Several objectives are compared by non-domination layers: the whole front is equally good.

    Args:
        metric: metric to watch; by default all objectives.
        direction: direction of a reported metric that is not an objective.
        eta: one in `eta` trials continues; also the factor between rungs. Above 1.
        min_resource: first rung, before which no trial is judged (the grace period).
        unit: unit of rungs: `"reports"`, or reported `"steps"` (the first report at or beyond a
            rung counts).
        mode: whether to stop or pause the other trials.
        members: predicate on trial numbers that selects the trials to compare; by default all.

    Reference:
        L. Li et al., 2018, "A System for Massively Parallel Hyperparameter Tuning"
        (arXiv 1810.05834), algorithm 2. With `unit="steps"` and one metric the stopping form
        decides like Optuna's `SuccessiveHalvingPruner`: a step that jumps over rungs is judged
        at each of them, and a trial that fails at a rung has not reached those above. NaN at a
        rung ends a trial, even the first one there, and does not count as a rival of later ones.
        There are two differences: infinities and overflows (1e30 and more) are treated like NaN,
        where Optuna takes negative infinity for the best value; and reports that arrive out of
        order count in the order of their steps, where Optuna keeps the first one it saw.
    """

    name = "asha"

    eta: float = 2
    min_resource: float = 4
    unit: Unit = "reports"
    mode: Mode = "stop"
    members: Callable[[int], bool] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self.eta, "eta", low=1.0, is_open=True)
        check_number(self.min_resource, "min_resource", low=1)
        check_unit(self.unit)
        if self.mode not in ("stop", "promote"):
            raise InvalidArgument(f'mode={self.mode!r}, expected "stop" or "promote".')
        self._reader = LossCurveReader()
        self._ladder = Ladder(
            self.min_resource, self.eta, self._reader, self.unit, members=self.members
        )

    def decide(self, number: int, view: CurveView) -> Decision:
        """Return the decision on trial `number` after its latest report.

        Raises:
            InvalidArgument: the study has no objective of that name.
        """
        watched = self.watched(view)
        passed = self._ladder.passed(number, view, watched)
        rung = next((r for r in passed if not self._goes_on(r)), None)
        if rung is None:
            return CONTINUE
        action: Literal["pause", "stop"] = "stop" if self.mode == "stop" else "pause"
        return Decision(action, self._sentence(rung, watched), self._evidence(rung, watched))

    def promote(self, view: CurveView) -> Mapping[int, str]:
        """Return the paused trials that are now among the best of their rung, with reasons."""
        watched = self.watched(view)
        found = {}
        for trial in view.history.unfinished():
            if trial.state is not TrialState.PAUSED or not self._is_member(trial.number):
                continue
            curve = self._reader.read(trial.number, view, watched)
            levels = self._ladder.latest(curve)
            if not levels:  # paused by something else, between two rungs
                highest = self._ladder.highest(curve.progress(self.unit))
                levels = [] if highest is None else [highest]
            read = (self._ladder.standing(trial.number, x, view, watched) for x in levels)
            rungs = [rung for rung in read if rung is not None]
            if rungs and all(map(self._goes_on, rungs)):
                found[trial.number] = self._sentence(rungs[-1], watched)
        return found

    def _goes_on(self, rung: RungStanding) -> bool:
        return not rung.has_diverged and rung.before < self._n_kept(rung.n)

    def _n_kept(self, n: int) -> int:
        # Algorithm 2, get_job: the top |rung| / eta, but at least the best, so that it can start.
        return max(1, int(n / self.eta))

    def _is_member(self, number: int) -> bool:
        return self.members is None or self.members(number)

    def _sentence(self, rung: RungStanding, watched: tuple[ObjectiveSpec, ...]) -> str:
        return (
            f"{shown(rung.own, watched)} at {self.unit[:-1]} {rung.level} has "
            f"{rung.before} of {rung.n} trials before it; the best {self._n_kept(rung.n)} continue"
        )

    def _evidence(self, rung: RungStanding, watched: tuple[ObjectiveSpec, ...]) -> dict[str, Any]:
        return {
            "metrics": as_metrics(rung.own, watched),
            "unit": self.unit,
            "rung": rung.level,
            "n_before": rung.before,
            "n_reached": rung.n,
            "n_kept": self._n_kept(rung.n),
            "eta": self.eta,
        }
