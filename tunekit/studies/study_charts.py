"""Computes the data of a study's charts, as the service does for its pages."""

from __future__ import annotations

from collections.abc import Sequence

from tunekit.analysis.charts.branches import importance_chart, tree_chart
from tunekit.analysis.charts.contour import contour_chart
from tunekit.analysis.charts.contour_records import ContourChart
from tunekit.analysis.charts.curve_store import CurveStore
from tunekit.analysis.charts.curves import curves_chart
from tunekit.analysis.charts.filters import ALL, TrialFilter, filtered
from tunekit.analysis.charts.points import points_chart
from tunekit.analysis.charts.records import (
    CurvesChart,
    FrontChart,
    HistoryChart,
    ImportanceChart,
    PointsChart,
    StopsChart,
    TreeChart,
)
from tunekit.analysis.charts.results import front_chart, history_chart
from tunekit.analysis.charts.samples import shown_objective
from tunekit.analysis.charts.stops import stops_chart
from tunekit.analysis.charts.time_records import BudgetChart, TimelineChart
from tunekit.analysis.charts.timeline import budget_chart, timeline_chart
from tunekit.checks import shown
from tunekit.driver.study_reader import StudyReader
from tunekit.errors import InvalidArgument
from tunekit.history import History
from tunekit.plots.figure import MAX_MARKS
from tunekit.records import ObjectiveSpec
from tunekit.shown import did_you_mean
from tunekit.spaces import Space

MAX_NODES = 150
"""Nodes of a tree."""
MAX_LINES = 20
"""Single curves, and trials whose curves may be asked for."""
MAX_SHARES = 60
"""Parameters with a share in one branch."""


class StudyCharts:
    """The data of the charts of a study as it was read last; `refresh` reads what is new.

    Args:
        reader: of the study.
        trials: which trials the charts are about.
    """

    def __init__(self, reader: StudyReader, trials: TrialFilter = ALL) -> None:
        self._reader = reader
        self._trials = trials

    def refresh(self) -> None:
        """Read the trials and the space as they are now."""
        self._reader.refresh_space()
        self._reader.refresh()

    @property
    def space(self) -> Space:
        """Return the space as far as it is known."""
        return self._reader.space

    def history(self, metric: str = "") -> HistoryChart:
        """Return results by trial."""
        of, goal = self._of(metric)
        return history_chart(of, goal, seq=of.cursor, most=MAX_MARKS)

    def curves(self, metric: str = "", numbers: Sequence[int] = ()) -> CurvesChart:
        """Return reports by step: of all trials together, and of the best, running and asked."""
        of, goal = self._of(metric, is_reported=True)
        store = self._store(goal)
        return curves_chart(of, store, goal, numbers, seq=of.cursor, most=MAX_LINES)

    def tree(self, metric: str = "") -> TreeChart:
        """Return trials and results by branch."""
        of, goal = self._of(metric)
        return tree_chart(of, self.space, goal, seq=of.cursor, most=MAX_NODES)

    def importance(self, quantile: float = 0.25) -> ImportanceChart:
        """Return shares of parameters, over all trials and in each branch."""
        of, _ = self._of("")
        return importance_chart(of, self.space, quantile=quantile, seq=of.cursor, most=MAX_SHARES)

    def points(self, metric: str = "", paths: Sequence[str] = (), n_axes: int = 12) -> PointsChart:
        """Return params and results of a sample of the trials."""
        of, goal = self._of(metric)
        asked = [self.space.resolve(path) for path in paths]
        return points_chart(
            of, self.space, goal, asked, seq=of.cursor, most=MAX_MARKS, n_axes=n_axes
        )

    def contour(self, metric: str = "", paths: Sequence[str] = ()) -> ContourChart:
        """Return what a model expects over two parameters."""
        of, goal = self._of(metric)
        asked = [self.space.resolve(path) for path in paths]
        return contour_chart(of, self.space, goal, asked, seq=of.cursor)

    def front(self) -> FrontChart:
        """Return the Pareto front."""
        of, _ = self._of("")
        return front_chart(of, seq=of.cursor, most=MAX_MARKS)

    def timeline(self) -> TimelineChart:
        """Return which worker ran which trial when."""
        of, _ = self._of("")
        return timeline_chart(of, seq=of.cursor, most=MAX_MARKS)

    def budget(self, metric: str = "") -> BudgetChart:
        """Return the trials that have ended, and the best result, over time."""
        of, goal = self._of(metric)
        most = self._reader.storage.get_study(self._reader.record.spec.name).spec.max_trials
        return budget_chart(of, goal, most, seq=of.cursor, most=500)

    def stops(self, metric: str = "") -> StopsChart:
        """Return the audit of early stopping, and its verdicts."""
        of, goal = self._of(metric, is_reported=True)
        return stops_chart(of, self._store(goal), goal, seq=of.cursor, most=500)

    def _store(self, goal: ObjectiveSpec) -> CurveStore:
        store = CurveStore(self._reader.storage, self._reader.record.id, goal.metric)
        store.refresh(self._reader.history)
        return store

    def _of(self, metric: str, *, is_reported: bool = False) -> tuple[History, ObjectiveSpec]:
        """Return the trials, and how the shown metric gets better.

        Raises:
            InvalidArgument: no result has such a metric; reports may have others.
        """
        history = self._reader.history
        known = [o.metric for o in history.objectives]
        if metric and metric not in known and not is_reported:
            known = list(dict.fromkeys([*known, *(m for t in history for m in t.metrics)]))
            if metric not in known:
                names = ", ".join(shown(name, 60) for name in known[:20])
                raise InvalidArgument(
                    f"metric {shown(metric)}: no trial of the study has such a result"
                    f"{did_you_mean(metric, known)}; it has {names}."
                )
        goal = shown_objective(history, metric)
        return filtered(history, self._trials, goal), goal
