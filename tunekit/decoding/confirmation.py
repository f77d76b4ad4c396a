"""What the winner of a decoding study does on questions that no trial was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tunekit.decoding.floor import Floor, gap_interval
from tunekit.decoding.measured import Measured, Unit

N_RESAMPLED = 4000


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The winner against the baseline on the held-out questions; intervals hold 95 %.

    Attributes:
        trial: number of the winner.
        params: its point.
        unit: of the costs.
        n: questions, which both were asked.
        baseline_cost, cost: for each right answer.
        saving, saving_low, saving_high: share of the baseline's cost that the winner saves.
        baseline_accuracy, accuracy: shares of right answers.
        gap, gap_low, gap_high: gain in accuracy over the baseline.
        p_worse: of the paired test against the floor.
        verdict: "kept" if the whole interval of the gap lies above the floor, "broken" if the
            test says that the winner is worse, else "undecided".
    """

    trial: int
    params: Mapping[str, Any]
    unit: Unit
    n: int
    baseline_cost: float
    cost: float
    saving: float
    saving_low: float
    saving_high: float
    baseline_accuracy: float
    accuracy: float
    gap: float
    gap_low: float
    gap_high: float
    p_worse: float
    verdict: Literal["kept", "broken", "undecided"]

    @classmethod
    def of(
        cls,
        winner: Measured,
        baseline: Measured,
        *,
        trial: int,
        params: Mapping[str, Any],
        unit: Unit,
        floor: Floor,
        seed: int,
    ) -> Confirmation:
        """Return the comparison of two measurements on the same questions."""
        gap, gap_low, gap_high = gap_interval(winner, baseline)
        p = floor.p_worse(winner, baseline)
        before, after = baseline.per_correct(unit), winner.per_correct(unit)
        low, high = _saving_interval(winner, baseline, unit, seed)
        is_kept = gap_low >= -floor.tolerance
        return cls(
            trial,
            dict(params),
            unit,
            len(winner),
            before,
            after,
            1.0 - after / before,
            low,
            high,
            baseline.accuracy,
            winner.accuracy,
            gap,
            gap_low,
            gap_high,
            p,
            "kept" if is_kept else "broken" if p < floor.alpha else "undecided",
        )

    def __str__(self) -> str:
        said = {
            "kept": "The accuracy floor is kept.",
            "broken": "The accuracy floor is broken: keep the baseline.",
            "undecided": "These questions do not decide whether the floor is kept: hold out more.",
        }[self.verdict]
        return (
            f"trial {self.trial} on {self.n} held-out questions: {self.cost:.4g} {self.unit} for "
            f"each right answer, {self.saving:.1%} less than the baseline's "
            f"{self.baseline_cost:.4g} (95 % interval {self.saving_low:.1%} to "
            f"{self.saving_high:.1%}); accuracy {self.accuracy:.1%} against "
            f"{self.baseline_accuracy:.1%}, a gain of {100 * self.gap:+.1f} points "
            f"({100 * self.gap_low:+.1f} to {100 * self.gap_high:+.1f}). {said}"
        )


def _saving_interval(
    winner: Measured, baseline: Measured, unit: Unit, seed: int
) -> tuple[float, float]:
    """Return the interval of the saving, by drawing the questions again with their pairs.

    Reference: Efron, 1979, "Bootstrap methods: another look at the jackknife" (percentiles).
    """
    keys = sorted(winner.given)
    columns = [
        np.array([[float(getattr(m.given[i], unit)), m.given[i].is_correct] for i in keys])
        for m in (winner, baseline)
    ]
    drawn = np.random.default_rng(seed).integers(0, len(keys), (N_RESAMPLED, len(keys)))
    new, old = ((c[drawn, 0].sum(1)) / np.maximum(c[drawn, 1].sum(1), 0.5) for c in columns)
    low, high = np.quantile(1.0 - new / np.maximum(old, 1e-300), [0.025, 0.975])
    return float(low), float(high)
