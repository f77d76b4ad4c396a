"""The law of a study as its page shows it: predictions, doubts and figures."""

from __future__ import annotations

from tunekit.errors import TunekitError
from tunekit.history import History
from tunekit.plots.figure import PanelFigure, PlaneFigure
from tunekit.plots.figure_records import LawChart, panel_record
from tunekit.scaling.fitting import fit_tables
from tunekit.scaling.law_figures import extrapolation_figure, optima_figure
from tunekit.scaling.loss_figures import loss_figure, surfaces_figure
from tunekit.scaling.roles import Roles
from tunekit.scaling.tables import of_history
from tunekit.spaces import Space


def law_chart(name: str, history: History, space: Space, *, seq: int) -> LawChart:
    """Return the law that the trials of a study tell, its roles found by their usual names.

    Args:
        name: of the study.
        history: its trials.
        space: whose scale axes play N and D.
        seq: number of the study's last event.
    """
    try:
        law = fit_tables([of_history(name, history, space)], Roles())
        figures: list[PanelFigure | PlaneFigure] = [optima_figure(law), surfaces_figure(law)]
        prediction: tuple[str, ...] = ()
        if law.target is not None:
            prediction = tuple(str(law.predict()).splitlines())
            figures.insert(1, extrapolation_figure(law))
        figures.append(loss_figure(law))
    except TunekitError as error:  # too few runs, no such roles: a study may have no law yet
        return LawChart(seq, 0, len(history), reason=error.message)
    warnings = tuple([str(w) for w in law.warnings])
    records = tuple([panel_record(f) for f in figures])
    return LawChart(seq, len(law.runs), len(history), prediction, warnings, records)
