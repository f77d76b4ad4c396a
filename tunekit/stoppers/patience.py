"""Patience: stop a trial that has not improved for a number of reports."""

from __future__ import annotations

import math

from tunekit.records import CONTINUE, Decision, Direction
from tunekit.stoppers.base import CurveView
from tunekit.stoppers.losses import LossCurveReader, as_metrics, shown, watched_metrics
from tunekit.stoppers.options import check_metric, check_number, check_whole


class PatienceStopper:
    """Stops a trial that has not improved by more than `min_delta` for `patience` reports.

    It looks at no other trial. Of several objectives, an improvement in any one counts.

    Args:
        metric: what is watched; all objectives where it is not given.
        direction: of a metric that is only reported and no objective.
        patience: reports that may pass without an improvement.
        min_delta: what an improvement has to exceed, in units of the metric.
        min_reports: grace period: reports that a trial makes before it is judged.
    """

    name = "patience"

    def __init__(
        self,
        metric: str | None = None,
        *,
        direction: Direction | None = None,
        patience: int = 10,
        min_delta: float = 0.0,
        min_reports: int = 1,
    ) -> None:
        check_metric(metric, direction)
        check_whole("patience", patience)
        check_number("min_delta", min_delta, 0.0)
        check_whole("min_reports", min_reports)
        self.metric = metric
        self.direction = direction
        self.patience = patience
        self.min_delta = min_delta
        self.min_reports = min_reports
        self._reader = LossCurveReader()

    def decide(self, number: int, view: CurveView) -> Decision:
        """Return what becomes of trial `number` after its latest report.

        Raises:
            InvalidArgument: the study has no objective of that name.
        """
        watched = watched_metrics(view, self.metric, self.direction, stopper=self.name)
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
