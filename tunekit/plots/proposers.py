"""Figures of the proposers: the best result of each, and the share of a language model."""

from __future__ import annotations

from collections.abc import Sequence

from tunekit.analysis.charts.proposer_records import ProposerRecord, ProposersChart
from tunekit.plots.axes import result_axis
from tunekit.plots.figure import Axis, Line, PlaneFigure, Role
from tunekit.plots.texts import amount, best_word, label, plenty, sentences

TRIAL = Axis("trial")
ROLES: tuple[Role, ...] = ("selected", "complete", "model", "stopped", "running", "other")
"""Of the samplers, in the order of the chart; further ones share the last."""


def proposers_figure(chart: ProposersChart) -> PlaneFigure:
    """Return the best result of each sampler by trial number."""
    metric = label(chart.metric)
    title = f"best {metric} of each proposer"
    able = [p for p in chart.proposers if p.improved_at]
    values = [v for p in able for v in p.improved_to]
    axis = result_axis(chart.metric, values, chart.direction, is_wide=True)
    if not able:
        why = sentences("no trial has a result that compares proposers yet")
        return PlaneFigure(title, why, TRIAL, axis.axis, (), note="", reason=why)
    last = max(p.improved_at[-1] for p in able)
    lines = [_line(p, last, ROLES[min(i, len(ROLES) - 1)]) for i, p in enumerate(able)]
    return PlaneFigure(title, _alt(able, chart), TRIAL, axis.axis, tuple(lines), note=axis.note)


def share_figure(chart: ProposersChart) -> PlaneFigure:
    """Return which share of the trials a language model might take, and which it took."""
    title = "share of the language model"
    y = Axis("share of trials", low=0.0, high=1.0)
    if not chart.numbers:
        why = "No language model has been asked."
        return PlaneFigure(title, why, TRIAL, y, (), note="", reason=why)
    x = tuple([float(n) for n in chart.numbers])
    lines = (
        Line("allowed", x, chart.allowed, "reference", is_dashed=True, is_stepped=True),
        Line("taken, of the last 20 trials", x, chart.taken, "selected"),
    )
    alt = sentences(
        f"the language model may take {chart.allowed[-1]:.0%} of the trials now",
        f"it took {chart.taken[-1]:.0%} of the last ones",
    )
    return PlaneFigure(title, alt, TRIAL, y, lines)


def _line(p: ProposerRecord, last: int, role: Role) -> Line:
    x, y = [float(n) for n in p.improved_at], list(p.improved_to)
    if x[-1] < last:
        x, y = [*x, float(last)], [*y, y[-1]]
    name = f"{label(p.sampler)} ({plenty(p.n_trials, 'trial')})"
    return Line(name, tuple(x), tuple(y), role, is_stepped=True)


def _alt(able: Sequence[ProposerRecord], chart: ProposersChart) -> str:
    word = best_word(chart.direction)
    return sentences(
        *(
            f"{word} {label(chart.metric)} of {label(p.sampler)}: {amount(p.best)}, "
            f"of trial {p.best_number}"
            for p in able[:4]
        )
    )
