"""Draws the figures of a comparison. Importing this module imports Plotly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.colors import qualitative

from tunekit.bench.standings import ContenderAt, ProblemKey, Row, Standings

COLORS = (*qualitative.D3, *qualitative.Dark24)


def regret_curves(standings: Standings, family: str) -> go.Figure:
    """Return the mean regret after each trial, with the bootstrap interval over seeds."""
    problems = standings.families()[family]
    figure = go.Figure(layout=_layout(f"{family}: normalised regret", "trials", "regret"))
    for color, entry in _colored(standings, problems):
        rows = standings.curve(entry, problems)
        trials = [row["trial"] + 1 for row in rows]
        label = standings.label(entry)
        band = [row["regret_high"] for row in rows] + [row["regret_low"] for row in rows[::-1]]
        figure.add_scatter(
            x=trials + trials[::-1],
            y=band,
            fill="toself",
            line={"width": 0},
            fillcolor=color,
            opacity=0.15,
            legendgroup=label,
            showlegend=False,
            hoverinfo="skip",
        )
        figure.add_scatter(
            x=trials,
            y=[row["regret"] for row in rows],
            line={"color": color},
            name=label,
            legendgroup=label,
        )
    figure.add_hline(y=0, line={"color": "black", "width": 1})
    figure.add_hline(y=1, line={"color": "black", "width": 1, "dash": "dot"})
    return figure


def final_boxes(standings: Standings, family: str) -> go.Figure:
    """Return the distribution of the final regret over all problems and seeds of a family."""
    problems = standings.families()[family]
    figure = go.Figure(layout=_layout(f"{family}: final regret of every run", "", "regret"))
    for color, entry in _colored(standings, problems):
        scores = standings.scores[entry]
        found = [(v, p[0]) for p in problems if p in scores for v in scores[p].final]
        figure.add_box(
            y=[float(v) for v, _ in found],
            text=[name for _, name in found],
            name=standings.label(entry),
            marker={"color": color},
            boxpoints="all",
            showlegend=False,
        )
    return figure


def settings_strip(rows: Sequence[Row], samplers: dict[str, str], family: str) -> go.Figure:
    """Return a strip plot with one point per setting of each sampler.

    Args:
        rows: the standings of the family.
        samplers: contender label -> sampler name.
        family: name of the family, for the title.
    """
    figure = go.Figure(layout=_layout(f"{family}: mean AUC of each setting", "", "AUC"))
    for name in dict.fromkeys(samplers.values()):
        own = [row for row in rows if samplers.get(row["settings"]) == name]
        figure.add_box(
            y=[row["auc"] for row in own],
            text=[row["contender"] for row in own],
            name=name,
            boxpoints="all",
            pointpos=0,
            showlegend=False,
        )
    return figure


def _colored(
    standings: Standings, problems: Sequence[ProblemKey]
) -> list[tuple[str, ContenderAt]]:
    entries = list(standings.scores)
    return [
        (COLORS[i % len(COLORS)], entry)
        for i, entry in enumerate(entries)
        if any(p in standings.scores[entry] for p in problems)
    ]


def _layout(title: str, x: str, y: str) -> dict[str, Any]:
    return {
        "title": {"text": title},
        "xaxis": {"title": {"text": x}},
        "yaxis": {"title": {"text": y}},
        "template": "simple_white",
        "height": 480,
    }
