"""The exploit step of population-based training: replaces the worst members by copies."""

from __future__ import annotations

import math
import random
from bisect import bisect_left, insort
from collections.abc import Sequence

from tunekit.checks import is_whole
from tunekit.errors import InvalidArgument
from tunekit.records import CONTINUE, Decision, ObjectiveSpec, Report, TrialState
from tunekit.stoppers.base import CurveView
from tunekit.stoppers.curve_log import ViewFollower

MAX_STEPS = 1024
"""Number of steps whose populations are kept; beyond it, the least recently used is dropped."""

ACTIVE = (TrialState.RUNNING, TrialState.PREEMPTED, TrialState.PAUSED, TrialState.COMPLETE)
"""States of the trials that a member is compared with."""


class _Population:
    """The members at one step; a trial is read again once it has changed.

    Attributes:
        losses: by number.
        order: (loss, number), best first.
    """

    def __init__(self) -> None:
        self.follower = ViewFollower()
        self.objective: ObjectiveSpec | None = None
        self.losses: dict[int, float] = {}
        self.order: list[tuple[float, int]] = []

    def put(self, number: int, loss: float | None) -> None:
        """Replace the loss of a trial; `None` removes the trial from the population."""
        before = self.losses.pop(number, None)
        if before is not None:
            del self.order[bisect_left(self.order, (before, number))]
        if loss is not None:
            self.losses[number] = loss
            insort(self.order, (loss, number))

    def clear(self) -> None:
        """Remove all members."""
        self.losses.clear()
        self.order.clear()


class PbtStopper:
    """Stops a trial that is among the worst of its population at a ready step.

    Use it with the sampler of the same name, whose next proposal replaces the stopped trial and
    starts from a checkpoint of one of the best trials. The whole population must run
    concurrently (as many workers as members) and save checkpoints. A trial is compared only with
    trials that have reported since its last ready step.

    Args:
        interval: number of steps between ready steps.
        quantile: share of the worst to stop, and of the best to copy.
        seed: keys the choice among the best.

    Raises:
        InvalidArgument: `interval` is below 1, or `quantile` outside (0, 0.5].

    Reference:
        M. Jaderberg et al., 2017, "Population Based Training of Neural Networks"
        (arXiv 1711.09846), algorithm 1 and section 4.1.1, truncation selection: "if the current
        agent is in the bottom 20% of the population, we sample another agent uniformly from the
        top 20%, and copy its weights and hyperparameters".
    """

    name = "pbt"

    def __init__(self, *, interval: int = 10, quantile: float = 0.25, seed: int = 0) -> None:
        if not is_whole(interval) or interval < 1:
            raise InvalidArgument(f"interval={interval!r}, expected a whole number of 1 or more.")
        if not 0 < quantile <= 0.5:
            raise InvalidArgument(f"quantile={quantile!r}, expected a number in (0, 0.5].")
        self.interval = interval
        self.quantile = quantile
        self.seed = seed
        self._populations: dict[int, _Population] = {}

    def decide(self, number: int, view: CurveView) -> Decision:
        """Return whether to replace trial `number` after its latest report."""
        reports = view.reports.get(number)
        if not reports:
            return CONTINUE
        step = reports[-1].step
        if (step + 1) % self.interval:
            return CONTINUE
        population = self._population(view, step)
        losses, order = population.losses, population.order
        n_cut = int(len(losses) * self.quantile)
        if number not in losses or not n_cut or (losses[number], number) < order[-n_cut]:
            return CONTINUE
        best = [n for _, n in order[:n_cut] if self._last_checkpoint(view, n) is not None]
        if not best or losses[best[0]] == losses[number]:
            return CONTINUE
        # Seeded by the decision's input, so that a fresh instance chooses the same.
        parent = random.Random(f"{self.seed}|{number}|{step}").choice(best)  # noqa: S311
        o = view.objectives[0]
        own, theirs = o.loss(losses[number]), o.loss(losses[parent])
        reason = (
            f"{o.metric} at step {step} is {own:.6g}, among the worst {n_cut} of {len(order)}; "
            f"a copy of trial {parent} with {theirs:.6g} replaces it"
        )
        return Decision("stop", reason, {"parent": parent, "step": step, "n": len(order)})

    def _population(self, view: CurveView, step: int) -> _Population:
        """Return the active members at their latest steps comparable with `step`."""
        known = self._populations.pop(step, None) or _Population()
        self._populations[step] = known  # the last one, as the one used most recently
        if len(self._populations) > MAX_STEPS:
            del self._populations[next(iter(self._populations))]
        changed = known.follower.changed(view)
        if changed is None or known.objective != view.objectives[0]:
            known.clear()
            known.objective, changed = view.objectives[0], set(view.reports)
        for number in changed:
            trial = view.history.get(number)
            # A trial that has just started may not be in the history yet.
            is_active = trial is None or trial.state in ACTIVE
            reports = view.reports.get(number, ())
            known.put(number, self._loss(view, reports, step) if is_active else None)
        return known

    def _loss(self, view: CurveView, reports: Sequence[Report], step: int) -> float | None:
        objective = view.objectives[0]
        for report in reversed(reports):
            if step - self.interval < report.step <= step and objective.metric in report.metrics:
                loss = objective.loss(report.metrics[objective.metric])
                return loss if math.isfinite(loss) else math.inf
        return None

    def _last_checkpoint(self, view: CurveView, number: int) -> int | None:
        trial = view.history.get(number)
        return trial.checkpoints[-1].step if trial is not None and trial.checkpoints else None
