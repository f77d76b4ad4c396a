"""Patience: stops a trial that has not improved for a number of reports."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunekit.checks import check_number, check_whole
from tunekit.records import CONTINUE, Decision
from tunekit.stoppers.base import CurveView
from tunekit.stoppers.losses import LossCurveReader, as_metrics, shown
from tunekit.stoppers.options import MetricStopper


@dataclass(eq=False, kw_only=True)
class PatienceStopper(MetricStopper):
    """Stops a trial that has not improved by more than `min_delta` for `patience` reports.

    It considers no other trials. With several objectives, an improvement in any one counts.

    Args:
        metric: metric to watch; by default all objectives.
        direction: direction of a reported metric that is not an objective.
        patience: number of reports to wait for an improvement.
        min_delta: amount that an improvement must exceed, in units of the metric.
        min_reports: number of reports before a trial is judged (grace period).
    """

    name = "patience"

    patience: int = 10
    min_delta: float = 0.0
    min_reports: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self.patience, "patience", low=1)
        check_number(self.min_delta, "min_delta", low=0.0)
        check_whole(self.min_reports, "min_reports", low=1)
        self._reader = LossCurveReader()

    def decide(self, number: int, view: CurveView) -> Decision:
        """Return the decision on trial `number` after its latest report.

        Raises:
            InvalidArgument: the study has no objective of that name.
        """
        watched = self.watched(view)
        curve = self._reader.read(number, view, watched)
        best = [math.inf] * len(watched)
        since = 0
        for i, losses in enumerate(curve.losses):
            for j, loss in enumerate(losses):
                if loss < best[j] - self.min_delta or (i == 0 and j == 0):
                    best[j], since = loss, i
        n = len(curve.losses)
        waited = n - 1 - since
        if n < self.min_reports or waited < self.patience:
            return CONTINUE
        reason = (
            f"no improvement by more than {self.min_delta:g} in {waited} reports since step "
            f"{curve.steps[since]} (best {shown(tuple(best), watched)})"
        )
        evidence = {
            "best": as_metrics(tuple(best), watched),
            "since_step": curve.steps[since],
            "n_waited": waited,
            "patience": self.patience,
            "min_delta": self.min_delta,
        }
        return Decision("stop", reason, evidence)
