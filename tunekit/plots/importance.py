"""Figures of the importance of parameters, over all trials and branch by branch."""

from __future__ import annotations

from dataclasses import replace

from tunekit.analysis.charts.records import BranchImportance, ImportanceChart, ParameterShare
from tunekit.plots.figure import Axis, Bars, PanelFigure, PlaneFigure
from tunekit.plots.texts import label, path_label, plenty, sentences, shown_of

MAX_BARS = 20
"""Parameters in one branch; the shares of the others are summed in one bar."""
TITLE = "importance of parameters"


def importance_figure(chart: ImportanceChart, place: int = 0) -> PlaneFigure:
    """Return the shares of one branch.

    Args:
        chart: the data.
        place: of the branch in the chart; 0 for all trials.
    """
    part = chart.branches[place]
    bars = _bars(part)
    x, y = Axis("share of the importance", low=0.0), Axis("", categories=tuple(t for t, _ in bars))
    of = branch_name(part) if part.branch else "complete and within all constraints"
    note = sentences(f"{shown_of(part.n, chart.total)} ({of})")
    if not bars:
        reason = sentences(f"of {branch_name(part)}: {part.reason.rstrip('.') or _NOTHING}")
        return PlaneFigure(
            f"{TITLE}, {branch_name(part)}", reason, x, y, (), note=note, reason=reason
        )
    marks = (Bars("share", tuple(share for _, share in bars), role="complete"),)
    return PlaneFigure(f"{TITLE}, {branch_name(part)}", _alt(part), x, y, marks, note=note)


def importance_panels(chart: ImportanceChart, most: int = 6) -> PanelFigure:
    """Return the shares of all trials, then of the branches with the most trials."""
    parts = chart.branches[:most]
    panels = tuple(
        replace(importance_figure(chart, i), title=branch_name(part))
        for i, part in enumerate(parts)
    )
    note = sentences(f"{len(panels):,} of {plenty(len(chart.branches), 'part')} of the space")
    reason = panels[0].reason if all(p.reason for p in panels) else ""
    return PanelFigure(TITLE, panels[0].alt, panels, note=note, reason=reason)


def branch_name(part: BranchImportance) -> str:
    """Return "model=rbf", or "all trials"."""
    names = [f"{path_label(path)}={label(str(value))}" for path, value in part.branch.items()]
    return ", ".join(names) or "all trials"


_NOTHING = "no parameter varies among its trials"


def _bars(part: BranchImportance) -> list[tuple[str, float | None]]:
    known = _within(part)
    bars: list[tuple[str, float | None]] = [(_name(p), p.share) for p in known[:MAX_BARS]]
    if len(known) > MAX_BARS:
        rest = sum(p.share for p in known[MAX_BARS:])
        bars.append((f"{len(known) - MAX_BARS:,} others together", rest))
    return bars


def _within(part: BranchImportance) -> list[ParameterShare]:
    """Return the parameters that the branch leaves open and that some trial of it has."""
    return [p for p in part.parameters if p.n_active and p.path not in part.branch]


def _name(p: ParameterShare) -> str:
    if p.n_good == 0:
        return f"{path_label(p.path)}: inactive in the good region (n={p.n_active:,})"
    return path_label(p.path)


def _alt(part: BranchImportance) -> str:
    known = _within(part)
    first, *others = known
    idle = [p for p in known if p.n_good == 0]
    second = f", then {path_label(others[0].path)} ({others[0].share:.0%})" if others else ""
    where = f"in {branch_name(part)}" if part.branch else "over all trials"
    return sentences(
        f"{where}, {path_label(first.path)} has {first.share:.0%} of the importance{second}",
        f"{part.n_good:,} of {plenty(part.n, 'trial')} are good",
        f"{len(idle):,} of {plenty(len(known), 'parameter')} inactive among those"
        if idle else "",
    )  # fmt: skip
