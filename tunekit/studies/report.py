"""Writes a report on a study as one HTML file that opens without a network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from importlib import resources

from tunekit.analysis.charts.knobs import has_knobs, knobs_chart
from tunekit.analysis.charts.samples import cut
from tunekit.analysis.health import StudyHealth
from tunekit.analysis.health.findings import Finding
from tunekit.driver.study_reader import StudyReader
from tunekit.errors import MissingExtra
from tunekit.history import History
from tunekit.plots.figure import Figure, FigureTable
from tunekit.plots.html import table_html
from tunekit.plots.knobs import changes_table, measures_table, rejections_table
from tunekit.plots.tables import table
from tunekit.plots.texts import label, listed
from tunekit.records import StudyRecord, TrialState
from tunekit.studies.health import health_of
from tunekit.studies.report_figures import report_figures
from tunekit.studies.study_html import best_sentence, best_table

MAX_ROWS = 500
"""Rows of the table beside a figure."""
MAX_TRIALS = 20
"""Best trials, and failures, in the report."""
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:"
)
"""The file loads nothing. Plotly compiles the shaders of parallel coordinates by `eval`."""


def report_html(reader: StudyReader) -> str:
    """Return the report: state, health, best trials, failures, and figures with their tables.

    Raises:
        MissingExtra: Plotly is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs

        from tunekit.plots.plotly import to_plotly
    except ImportError:
        raise MissingExtra("plots", "a report") from None
    figures = report_figures(reader)
    drawn = {name: to_plotly(figure).to_json() for name, figure in figures.items()}
    history, record = reader.history, reader.record
    name = escape(label(record.spec.name, 200))
    body = [
        f"<h1>{name}</h1>",
        f"<p>{escape(best_sentence(history))}</p>",
        _summary(record, history),
        _knobs(record, history),
        _health(health_of(reader)),
        _section("best trials", table_html(best_table(history, MAX_TRIALS), MAX_TRIALS)),
        _failures(history),
        *[_figure(key, figure) for key, figure in figures.items()],
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}</title><style>{_style()}</style>"
        f"<script>{get_plotlyjs()}</script></head>\n<body><main>{''.join(body)}</main>"
        f"<script>{_script(drawn)}</script></body></html>\n"
    )


def _style() -> str:
    return resources.files("tunekit.studies").joinpath("report.css").read_text("utf-8")


def _script(drawn: Mapping[str, str]) -> str:
    """Return the call that draws the figures, with their JSON safe within a script."""
    entries = ",".join(f"{json.dumps(key)}:{text}" for key, text in drawn.items())
    for sign in "<>&\u2028\u2029":
        entries = entries.replace(sign, f"\\u{ord(sign):04x}")
    return (
        f"const figures = {{{entries}}};"
        "(async () => {"
        "for (const [name, figure] of Object.entries(figures)) {"
        " await Plotly.newPlot(name, figure.data, figure.layout,"
        " {responsive: true, displaylogo: false});"
        " await new Promise((done) => setTimeout(done));"  # the page answers between two of them
        "}})();"
    )


def _figure(name: str, figure: Figure) -> str:
    rows = table(figure)
    twin = (
        f"<details><summary>the numbers as a table</summary>{table_html(rows, MAX_ROWS)}</details>"
    )
    alt = escape(figure.alt)
    return (
        f'<section><figure><div id="{name}" class="chart" role="img" aria-label="{alt}"></div>'
        f"<figcaption>{alt}</figcaption></figure>{twin if rows.rows else ''}</section>"
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def _summary(record: StudyRecord, history: History) -> str:
    spec = record.spec
    written = datetime.now(UTC).isoformat(" ", "minutes")
    created = datetime.fromtimestamp(record.created, UTC).isoformat(" ", "minutes")
    facts = {
        "state": str(record.state),
        "trials": listed({str(s): n for s, n in history.counts().items()}) or "none",
        "objectives": ", ".join(f"{label(o.metric)} ({o.direction})" for o in spec.objectives),
        "constraints": ", ".join(label(str(c)) for c in spec.constraints),
        "sampler": label(spec.sampler),
        "stopper": label(spec.stopper),
        "seed": str(spec.seed),
        "created": created,
        "report of": written,
    }
    rows = "".join(f"<dt>{key}</dt><dd>{escape(v)}</dd>" for key, v in facts.items() if v)
    return f"<dl>{rows}</dl>"


def _health(found: StudyHealth) -> str:
    order = {"sick": 0, "unknown": 1, "healthy": 2}
    findings = sorted(found.findings, key=lambda f: order[f.verdict])
    return _section("health", f"<ul class=cards>{''.join(map(_card, findings))}</ul>")


def _knobs(record: StudyRecord, history: History) -> str:
    """Return the verdict on a server's knobs, what changes by it, and what was rejected."""
    attrs = record.spec.attrs
    if not has_knobs(attrs, history):
        return ""
    chart = knobs_chart(attrs, history, seq=record.seq)
    texts = [chart.sentence, *chart.method, *chart.warnings]
    tables = {
        "before and after": measures_table(chart),
        "changed knobs": changes_table(chart),
        "rejected": rejections_table(chart),
    }
    parts = [f"<p>{escape(label(text, 600))}</p>" for text in texts if text]
    of = f": {label(chart.server)}, {label(chart.workload)}" if chart.server else ""
    return _section(f"knobs{of}", "".join(parts)) + "".join(
        _section(title, table_html(rows, MAX_ROWS)) for title, rows in tables.items() if rows.rows
    )


def _card(finding: Finding) -> str:
    text = label(finding.text, 600)
    advice = (
        f"<p><strong>{escape(label(finding.advice, 600))}</strong></p>" if finding.advice else ""
    )
    command = f"<pre>{escape(label(finding.command, 400))}</pre>" if finding.command else ""
    head = f"<h3>{escape(finding.check)}: {finding.verdict}</h3>"
    return f'<li class="{finding.verdict}">{head}<p>{escape(text)}</p>{advice}{command}</li>'


def _failures(history: History) -> str:
    states = (TrialState.FAILED, TrialState.LOST, TrialState.DIVERGED)
    failed = [t for t in history.finished() if t.state in states][: -MAX_TRIALS - 1 : -1]
    if not failed:
        return ""
    rows = tuple((t.number, str(t.state), cut(t.end_reason, 300)) for t in failed)
    return _section(
        "last failures", table_html(FigureTable(("trial", "state", "why"), rows), MAX_TRIALS)
    )
