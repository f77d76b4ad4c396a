"""Shows a study in a notebook as a small piece of HTML, without Plotly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import accumulate
from typing import Any

from tunekit.analysis.charts.samples import number
from tunekit.driver.study_reader import StudyReader
from tunekit.errors import TunekitError
from tunekit.history import History, nothing_best
from tunekit.plots.figure import FigureTable
from tunekit.plots.html import sparkline, table_html
from tunekit.plots.texts import amount, label, listed, path_label, plenty
from tunekit.records import ObjectiveSpec, TrialRecord

MAX_TRIALS = 5
MAX_PARAMS = 8
"""Parameters of a trial in a table."""


def study_html(reader: StudyReader) -> str:
    """Return a study's state, its best results and trials; everything a user typed is escaped."""
    try:
        reader.refresh()
    except TunekitError as error:  # deleted, or the storage is away
        return f"<p>{escape(label(error.message, 400))}</p>"
    history, spec = reader.history, reader.record.spec
    counts = listed({str(state): n for state, n in history.counts().items()})
    parts = [f"<strong>{escape(label(spec.name, 80))}</strong>: {plenty(len(history), 'trial')}"]
    if counts:
        parts.append(f" ({escape(counts)})")
    best = best_sentence(history)
    line = _line(history) if len(history.objectives) == 1 else ""
    trials = table_html(best_table(history, MAX_TRIALS), MAX_TRIALS) if history.complete() else ""
    hint = "<code>study.plot.history()</code> draws it; <code>study.health()</code> checks it."
    return (
        f"<div><p>{''.join(parts)}</p><p>{escape(best)} {line}</p>{trials}"
        f"<p><small>{hint}</small></p></div>"
    )


def best_sentence(history: History) -> str:
    """Return the best result, or why there is none, in one sentence."""
    goals = history.objectives
    if len(goals) > 1:
        return f"{plenty(len(history.pareto()), 'trial')} on the Pareto front."
    if history.best is None:
        return nothing_best("this study", history)
    value = history.best.metrics[goals[0].metric]
    name = label(goals[0].metric)
    return f"Best {name} {amount(value)}, of trial {history.best.number} ({goals[0].direction}d)."


def best_table(history: History, most: int) -> FigureTable:
    """Return the best trials with their results and params, of several objectives the front."""
    goals = history.objectives
    trials = history.pareto() if len(goals) > 1 else _ranked(history, goals[0])
    rows = [
        (t.number, *[number(t.metrics.get(o.metric)) for o in goals], params_text(t.params))
        for t in trials[:most]
    ]
    return FigureTable(("trial", *[label(o.metric) for o in goals], "params"), tuple(rows))


def params_text(params: Mapping[str, Any] | None) -> str:
    """Return "lr=0.01, model=svm" with at most 8 parameters."""
    found = dict(params or {})
    texts = [f"{path_label(path, 30)}={_shown(value)}" for path, value in found.items()]
    more = [f"and {len(texts) - MAX_PARAMS} more"] if len(texts) > MAX_PARAMS else []
    return ", ".join([*texts[:MAX_PARAMS], *more])


def _shown(value: Any) -> str:
    return amount(value) if isinstance(value, float) else label(str(value), 24)


def _ranked(history: History, objective: ObjectiveSpec) -> Sequence[TrialRecord]:
    able = [t for t in history.complete() if history.violation(t) == 0.0]
    return sorted(able, key=lambda t: (objective.loss(t.metrics[objective.metric]), t.number))


def _line(history: History) -> str:
    """Return the best so far over the complete trials as a small line."""
    goal = history.objectives[0]
    pick = min if goal.direction == "minimize" else max
    able = [t for t in history.complete() if history.violation(t) == 0.0]
    best = list(accumulate((t.metrics[goal.metric] for t in able), pick))
    return sparkline(best, f"best {label(goal.metric)} so far") if len(best) > 1 else ""
