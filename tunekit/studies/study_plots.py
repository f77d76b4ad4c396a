"""Draws a study with Plotly, for a notebook; the same pictures as on the pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from tunekit.analysis.charts.filters import TrialFilter
from tunekit.driver.study_reader import StudyReader
from tunekit.errors import InvalidArgument, MissingExtra
from tunekit.plots.budget import best_figure, budget_figure
from tunekit.plots.contour import contour_figure
from tunekit.plots.curves import curves_figure
from tunekit.plots.front import front_figure
from tunekit.plots.history import history_figure
from tunekit.plots.importance import importance_figure, importance_panels
from tunekit.plots.parallel import MAX_AXES, parallel_figure
from tunekit.plots.slices import MAX_PANELS, slices_figure
from tunekit.plots.stops import stops_figure
from tunekit.plots.timeline import timeline_figure
from tunekit.plots.tree import tree_figure
from tunekit.studies.study_charts import MAX_LINES, StudyCharts

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from tunekit.plots.figure import Figure


class StudyPlots:
    """The pictures of a study as Plotly figures; `study.plot`.

    Each reads the study as it is now, shows at most 2,000 marks, says how many of how many trials
    those are, and carries its message as text in `figure.layout.meta["alt"]`.

    Args:
        reader: of the study.
        trials: which trials to show.
        theme: "light" or "dark".
    """

    def __init__(
        self,
        reader: StudyReader,
        trials: TrialFilter | None = None,
        theme: Literal["light", "dark"] = "light",
    ) -> None:
        self._reader = reader
        self._charts = StudyCharts(reader, trials or TrialFilter())
        self._theme = theme

    def __call__(
        self,
        *,
        branch: str = "",
        states: str | Sequence[str] = (),
        low: float | None = None,
        high: float | None = None,
        theme: Literal["light", "dark"] = "light",
    ) -> StudyPlots:
        """Return the pictures of some trials, or for a dark page.

        Args:
            branch: a choice that the trials made, such as "model=rbf".
            states: one or several, such as "complete".
            low: least value of the shown metric.
            high: largest value of it.
            theme: "light" or "dark".

        Raises:
            InvalidArgument: a branch without a value, or an unknown state or theme.
        """
        if theme not in ("light", "dark"):
            raise InvalidArgument(f'theme={theme!r}, expected "light" or "dark".')
        names = states if isinstance(states, str) else ",".join(map(str, states))
        return StudyPlots(self._reader, TrialFilter.parse(branch, names, low, high), theme)

    def history(self, metric: str = "") -> go.Figure:
        """Return results by trial, with the best so far; a stopped one at its predicted final.

        Args:
            metric: any result of the trials; by default the first objective. So for all pictures.

        Raises:
            InvalidArgument: no trial has such a result.
            MissingExtra: Plotly is not installed. So for all pictures.
        """
        return self._drawn(lambda: history_figure(self._charts.history(metric)))

    def curves(self, metric: str = "", *, trials: Sequence[int] = ()) -> go.Figure:
        """Return the reports by step: quantiles of all trials, and single ones.

        Args:
            metric: any metric of the reports.
            trials: numbers of trials to show beside the best and the running ones, at most 20.
        """
        if len(trials) > MAX_LINES:
            raise InvalidArgument(f"trials: {len(trials)} numbers, expected at most {MAX_LINES}.")
        return self._drawn(lambda: curves_figure(self._charts.curves(metric, trials), trials))

    def tree(self, metric: str = "") -> go.Figure:
        """Return the branches of the space with their trials and best results."""
        return self._drawn(lambda: tree_figure(self._charts.tree(metric)))

    def parallel(self, metric: str = "", *, params: Sequence[str] = ()) -> go.Figure:
        """Return one line a trial across its params; "not active" is a lane of its own.

        Args:
            metric: see `history`.
            params: names of parameters; by default the 12 most important ones.

        Raises:
            UnknownParameter: the space has no such parameter.
        """
        n = len(params) or MAX_AXES
        return self._drawn(
            lambda: parallel_figure(self._charts.points(metric, params, 60), most_axes=n)
        )

    def importance(self, *, quantile: float = 0.25, by_branch: bool = False) -> go.Figure:
        """Return how much each parameter mattered.

        Args:
            quantile: share of the trials that count as good, above 0 and below 1.
            by_branch: also within the branches that have the most trials.
        """
        build: Callable[..., Figure] = importance_panels if by_branch else importance_figure
        return self._drawn(lambda: build(self._charts.importance(quantile)))

    def slice(self, metric: str = "", *, params: Sequence[str] = ()) -> go.Figure:
        """Return the results beside the values of each parameter; see `parallel`."""
        n = len(params) or MAX_PANELS
        return self._drawn(lambda: slices_figure(self._charts.points(metric, params, n), n))

    def contour(self, x: str = "", y: str = "", *, metric: str = "") -> go.Figure:
        """Return what a model of the trials expects over two parameters.

        Args:
            x: name of a parameter; by default the two most important ones are shown.
            y: name of the other one.
            metric: see `history`.

        Raises:
            InvalidArgument: only one name is given, or both are the same.
            UnknownParameter: the space has no such parameter.
        """
        if bool(x) != bool(y) or (x and x == y):
            raise InvalidArgument(
                f"contour of x={x!r} and y={y!r}: expected the names of two parameters, or none."
            )
        paths = (x, y) if x else ()
        return self._drawn(lambda: contour_figure(self._charts.contour(metric, paths)))

    def front(self) -> go.Figure:
        """Return the trade-offs between the objectives, with what constraints rule out."""
        return self._drawn(lambda: front_figure(self._charts.front()))

    def timeline(self) -> go.Figure:
        """Return which worker ran which trial when."""
        return self._drawn(lambda: timeline_figure(self._charts.timeline()))

    def budget(self) -> go.Figure:
        """Return the trials that are left over time, and when the budget ends."""
        return self._drawn(lambda: budget_figure(self._charts.budget()))

    def best(self, metric: str = "") -> go.Figure:
        """Return the best result over time."""
        return self._drawn(lambda: best_figure(self._charts.budget(metric)))

    def stops(self, metric: str = "") -> go.Figure:
        """Return what was predicted of audited trials, and what came."""
        return self._drawn(lambda: stops_figure(self._charts.stops(metric)))

    def _drawn(self, build: Callable[[], Figure]) -> Any:
        try:
            from tunekit.plots.plotly import to_plotly
        except ImportError:
            raise MissingExtra("plots", "study.plot") from None
        self._charts.refresh()
        return to_plotly(build(), theme=self._theme)
