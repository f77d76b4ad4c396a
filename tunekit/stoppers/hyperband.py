"""Hyperband: several concurrent ASHA brackets, later ones with longer grace periods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from tunekit.checks import check_number, check_whole
from tunekit.records import CONTINUE, Decision
from tunekit.stoppers.asha import AshaStopper, Mode
from tunekit.stoppers.base import CurveView
from tunekit.stoppers.losses import Unit
from tunekit.stoppers.options import MetricStopper

GOLDEN = (5**0.5 - 1) / 2


@dataclass(eq=False, kw_only=True)
class HyperbandStopper(MetricStopper):
    """Hedges over ASHA's grace period: patient brackets give late bloomers time.

    Bracket `s` has its first rung at `min_resource * eta**s`, and trials are compared within
    their bracket. Impatient brackets get more trials, as in Hyperband in proportion to
    `eta**(s_max - s) / (s_max - s + 1)`. The bracket of a trial depends only on its number, so
    that all workers agree.

    Args:
        metric: metric to watch; by default all objectives.
        direction: direction of a reported metric that is not an objective.
        eta: one in `eta` trials continues; also the factor between rungs. Above 1.
        min_resource: first rung of the most impatient bracket.
        n_brackets: number of brackets.
        unit: unit of rungs; see `AshaStopper`.
        mode: `"stop"` or `"promote"`; see `AshaStopper`.

    Reference:
        L. Li et al., 2018, "Hyperband: A Novel Bandit-Based Approach to Hyperparameter
        Optimization", algorithm 1 (the sizes of brackets).
    """

    name = "hyperband"

    eta: float = 2
    min_resource: float = 4
    n_brackets: int = 3
    unit: Unit = "reports"
    mode: Mode = "stop"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self.n_brackets, "n_brackets", low=1)
        check_number(self.min_resource, "min_resource", low=1)
        every = range(self.n_brackets)
        self._brackets = [self._bracket(s) for s in every]
        # Algorithm 1: n = (s_max + 1) / (s + 1) * eta^s, where its s counts the other way.
        sizes = [self.eta**s / (s + 1) for s in reversed(every)]
        self._bounds = [sum(sizes[: s + 1]) / sum(sizes) for s in every]

    def _bracket(self, s: int) -> AshaStopper:
        return AshaStopper(
            self.metric,
            direction=self.direction,
            eta=self.eta,
            min_resource=self.min_resource * self.eta**s,
            unit=self.unit,
            mode=self.mode,
            members=partial(self._is_in, s),
        )

    def decide(self, number: int, view: CurveView) -> Decision:
        """Return the decision on trial `number` after its latest report.

        Raises:
            InvalidArgument: the study has no objective of that name.
        """
        s = self.bracket(number)
        decision = self._brackets[s].decide(number, view)
        if decision is CONTINUE:
            return CONTINUE
        evidence = {**decision.evidence, "bracket": s}
        return replace(decision, reason=f"bracket {s}: {decision.reason}", evidence=evidence)

    def promote(self, view: CurveView) -> Mapping[int, str]:
        """Return the paused trials that are now among the best of their rung, with reasons."""
        return {
            number: f"bracket {s}: {why}"
            for s, bracket in enumerate(self._brackets)
            for number, why in bracket.promote(view).items()
        }

    def bracket(self, number: int) -> int:
        """Return the bracket of a trial, from 0 for the most impatient one."""
        # Multiples of the golden ratio fill the unit interval evenly from the start.
        place = (number + 0.5) * GOLDEN % 1.0
        return sum(place >= bound for bound in self._bounds[:-1])

    def _is_in(self, s: int, number: int) -> bool:
        return self.bracket(number) == s
