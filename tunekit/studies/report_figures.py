"""Chooses the figures of a report on a study, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Callable

from tunekit.analysis.charts.knobs import has_result, knobs_chart
from tunekit.driver.study_reader import StudyReader
from tunekit.plots.budget import best_figure
from tunekit.plots.contour import contour_figure
from tunekit.plots.curves import curves_figure
from tunekit.plots.figure import Figure
from tunekit.plots.front import front_figure
from tunekit.plots.history import history_figure
from tunekit.plots.importance import importance_panels
from tunekit.plots.knobs import gains_figure, measures_figure
from tunekit.plots.parallel import parallel_figure
from tunekit.plots.slices import slices_figure
from tunekit.plots.stops import stops_figure
from tunekit.plots.timeline import timeline_figure
from tunekit.plots.tree import tree_figure
from tunekit.studies.study_charts import StudyCharts

_FIGURES: dict[str, Callable[[StudyCharts], Figure]] = {
    "history": lambda c: history_figure(c.history()),
    "front": lambda c: front_figure(c.front()),
    "best": lambda c: best_figure(c.budget()),
    "curves": lambda c: curves_figure(c.curves()),
    "tree": lambda c: tree_figure(c.tree()),
    "importance": lambda c: importance_panels(c.importance()),
    "slice": lambda c: slices_figure(c.points()),
    "contour": lambda c: contour_figure(c.contour()),
    "parallel": lambda c: parallel_figure(c.points(n_axes=60)),
    "stops": lambda c: stops_figure(c.stops()),
    "timeline": lambda c: timeline_figure(c.timeline()),
}


def report_figures(reader: StudyReader) -> dict[str, Figure]:
    """Return the figures by the name of their method of `study.plot`.

    The front is left out of a study with one objective, the audit where nothing stops trials.
    """
    spec = reader.record.spec
    skipped = {"front"} if len(spec.objectives) == 1 else {"best"}
    if not spec.stopper:
        skipped.add("stops")
    charts = StudyCharts(reader)
    charts.refresh()
    own: dict[str, Figure] = {}
    if has_result(spec.attrs):
        chart = knobs_chart(spec.attrs, reader.history, seq=reader.record.seq)
        own = {"gains": gains_figure(chart), "measures": measures_figure(chart)}
    return own | {name: build(charts) for name, build in _FIGURES.items() if name not in skipped}
