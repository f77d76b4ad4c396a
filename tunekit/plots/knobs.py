"""Figures of tuned database knobs: what was gained, and latency before and after."""

from __future__ import annotations

from tunekit.analysis.charts.knob_records import Estimate, KnobMeasure, KnobsChart
from tunekit.plots.figure import Axis, Bars, FigureTable, PanelFigure, PlaneFigure, Points
from tunekit.plots.texts import amount, label, sentences

GAIN = "speed as a multiple of the default's"


def gains_figure(chart: KnobsChart) -> PlaneFigure:
    """Return the fresh comparisons of each configuration, with the interval of its gain."""
    rows = chart.comparisons
    names = tuple([label(c.name) for c in rows])
    x, y = Axis(GAIN), Axis("", categories=names)
    if not rows:
        reason = "No configuration was measured again yet."
        return PlaneFigure("fresh comparisons", reason, x, y, (), reason=reason)
    means = Bars(
        "mean and 95 % interval",
        tuple([c.estimate.mean for c in rows]),
        tuple([c.estimate.low for c in rows]),
        tuple([c.estimate.high for c in rows]),
    )
    points = [(f, float(place)) for place, c in enumerate(rows) for f in c.factors]
    each = Points(
        "one comparison", tuple([f for f, _ in points]), tuple([p for _, p in points]), "other"
    )
    return PlaneFigure("fresh comparisons", chart.sentence, x, y, (means, each))


def measures_figure(chart: KnobsChart) -> PanelFigure:
    """Return throughput and latencies before and after, one panel each."""
    panels = tuple([_panel(m) for m in chart.measures])
    reason = "" if panels else "Nothing was measured again yet."
    alt = sentences(*[f"{m.name} {_both(m)}" for m in chart.measures]) or reason
    return PanelFigure("before and after", alt, panels, reason=reason)


def measures_table(chart: KnobsChart) -> FigureTable:
    """Return throughput and latencies before and after, with their intervals."""
    rows = tuple([(m.name, _shown(m.before, m.unit), _shown(m.after, m.unit)) for m in
                  chart.measures])  # fmt: skip
    return FigureTable(("measure", "before", "after"), rows)


def changes_table(chart: KnobsChart) -> FigureTable:
    """Return the changed knobs, with units, reason, restart and risk."""
    return FigureTable(
        ("knob", "before", "after", "why", "restart", "risk", "can be lost"),
        tuple(
            [
                (c.knob, c.before, c.after, c.why, "needed" if c.needs_restart else "no", c.risk,
                 c.loss)
                for c in chart.changes
            ]
        ),
    )  # fmt: skip


def rejections_table(chart: KnobsChart) -> FigureTable:
    """Return what was rejected and why."""
    return FigureTable(
        ("trial", "changes", "kind", "why", "times as fast in its trial"),
        tuple([(r.number, r.changes, r.kind, r.why, r.factor) for r in chart.rejections]),
    )


def _panel(measure: KnobMeasure) -> PlaneFigure:
    scale, unit = _scale(measure)
    pair = (measure.before, measure.after)
    bars = Bars(
        measure.name,
        tuple([e.mean * scale for e in pair]),
        tuple([e.low * scale for e in pair]),
        tuple([e.high * scale for e in pair]),
    )
    title = f"{measure.name}, {unit}"
    alt = sentences(f"{measure.name} {_both(measure)}")
    return PlaneFigure(
        title, alt, Axis(unit, low=0.0), Axis("", categories=("before", "after")), (bars,)
    )


def _both(measure: KnobMeasure) -> str:
    before, after = (_shown(e, measure.unit) for e in (measure.before, measure.after))
    return f"{before} before, {after} after"


def _shown(found: Estimate, unit: str) -> str:
    scale, word = (1e3, "ms") if unit == "s" and found.mean < 1.0 else (1.0, unit)
    word = "per second" if word == "1/s" else word
    mean, low, high = (amount(v * scale) for v in (found.mean, found.low, found.high))
    return f"{mean} {word} ({low} to {high})"


def _scale(measure: KnobMeasure) -> tuple[float, str]:
    if measure.unit == "1/s":
        return 1.0, "per second"
    is_short = max(measure.before.mean, measure.after.mean) < 1.0
    return (1e3, "ms") if is_short else (1.0, measure.unit)
