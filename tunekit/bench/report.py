"""Writes the files of a comparison: tables as CSV, and one HTML page with everything."""

from __future__ import annotations

import csv
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tunekit.bench.choices import choices
from tunekit.bench.differences import differences, shown_difference
from tunekit.bench.runner import ComparisonPlan, FinishedComparison
from tunekit.bench.settings import spreads
from tunekit.bench.standings import Row, Standings, failures
from tunekit.errors import DISTRIBUTION

PACKAGES = (
    DISTRIBUTION,
    "numpy",
    "scipy",
    "scikit-learn",
    "torch",
    "botorch",
    "gpytorch",
    "cmaes",
    "optuna",
    "optunahub",
    "smac",
    "ConfigSpace",
    "ax-platform",
    "HEBO",
    "nevergrad",
    "hyperopt",
)

READING = (
    "Regret is (best so far - best known) / (median of random search at the same budget - best "
    "known): 0 equals the best known, 1 equals random search, below 0 beats the best known. AUC "
    "is the mean over all trials, final the value after the last one. Brackets hold bootstrap "
    "95 % intervals over the seeds. Ranks are means over the problems that every contender ran. "
    "Differences are means over pairs of runs with the same problem and seed, +- their standard "
    "error; below 0 is better. With several objectives, regret compares hypervolumes, and share "
    "is the final one over the best known."
)

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1200px;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;margin:1em 0;font-variant-numeric:tabular-nums}"
    "td,th{padding:.25em .8em;text-align:left;border-bottom:1px solid #ddd}"
    "pre{background:#f4f4f4;padding:1em;overflow:auto}"
)


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    """Presents a comparison as tables.

    Attributes:
        command: command line that reproduces the comparison.
        left_out: contender -> reason for its absence.
        against: label of the contender that the others are compared with run by run; `None`
            takes the first.
    """

    plan: ComparisonPlan
    outcome: FinishedComparison
    command: str
    left_out: Mapping[str, str] = field(default_factory=dict)
    against: str | None = None

    def tables(self) -> dict[str, list[Row]]:
        """Return all non-empty tables by name."""
        standings = Standings(self.outcome)
        rows = standings.table()
        left_out = [{"contender": k, "runs": 0, "why": why} for k, why in self.left_out.items()]
        found = {
            "standings": rows,
            "differences": differences(standings, self.against or self.plan.contenders[0].label),
            "settings": spreads(rows, self.plan.contenders),
            "problems": standings.by_problem(),
            "yardsticks": self._yardsticks(),
            "proposals": self._proposals(),
            "choices": choices(self.outcome.results),
            "left_out": left_out + failures(self.outcome.errors),
        }
        return {name: table for name, table in found.items() if table}

    def write(self, folder: Path) -> list[Path]:
        """Write one CSV file per table and, if Plotly is installed, `report.html`."""
        tables = self.tables()
        paths = [_write_csv(folder / f"{name}.csv", rows) for name, rows in tables.items()]
        if find_spec("plotly") is not None:
            path = folder / "report.html"
            path.write_text(self._page(tables), encoding="utf-8")
            paths.append(path)
        return paths

    def _yardsticks(self) -> list[Row]:
        return [
            {
                "problem": name,
                "suite_seed": seed,
                "best": scale.best,
                "best_is": "known" if scale.is_known else f"best of {scale.n_points} random",
                "random_points": scale.n_points,
                "failed": scale.n_failed,
                "random_median": scale.medians[-1],
            }
            for (name, seed), scale in sorted(self.outcome.scales.items())
        ]

    def _proposals(self) -> list[Row]:
        """Return each contender's reason for its last proposal on its first problem."""
        found: dict[str, Row] = {}
        for cell, result in self.outcome.results.items():
            sizes = result["evidence_bytes"]
            found.setdefault(
                cell.contender,
                {
                    "contender": cell.contender,
                    "problem": cell.problem,
                    "seed": cell.seed,
                    "last_reason": result["reason"],
                    "evidence_bytes_max": max(sizes, default=0),
                },
            )
        return list(found.values())

    def _page(self, tables: Mapping[str, Sequence[Row]]) -> str:
        plan = self.plan
        body = [
            "<h1>Which sampler?</h1>",
            f"<p>{escape(READING)}</p>",
            f"<pre>{escape(self.command)}</pre>",
            f"<p>{plan.n_trials} trials; seeds {', '.join(map(str, plan.seeds))}; "
            f"workers {', '.join(map(str, plan.workers))}; {escape(versions())}.</p>",
            _html_table("Standings", [shown(row) for row in tables.get("standings", [])]),
            _html_table(
                "Differences", [shown_difference(row) for row in tables.get("differences", [])]
            ),
            *_figures(self),
        ]
        names = [name for name in tables if name not in ("standings", "differences")]
        body += [_html_table(name.replace("_", " ").capitalize(), tables[name]) for name in names]
        head = f'<meta charset="utf-8"><title>tunekit bench</title><style>{_STYLE}</style>'
        return f"<!doctype html><html><head>{head}</head><body>{''.join(body)}</body></html>"


def shown(row: Row) -> Row:
    """Format a row of standings for display, with each measure and its interval in one cell."""
    out = {k: v for k, v in row.items() if k in ("family", "problem", "contender", "runs")}
    for name in ("auc", "final", *(["share"] if "share" in row else [])):
        out[name] = f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"
    for name in ("rank_auc", "rank_final"):
        out[name] = f"{row[name]:.2f}" if name in row else None
    out["cpu_ms"] = f"{row['cpu_ms_median']:.1f}"
    out["p95"] = f"{row['cpu_ms_p95']:.1f}"
    return out


def versions() -> str:
    """Return the versions of the installed libraries that take part."""
    found = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def _figures(report: ComparisonReport) -> list[str]:
    from tunekit.bench import plots

    standings = Standings(report.outcome)
    rows = standings.table()
    figures = []
    for family in standings.families():
        figures += [plots.regret_curves(standings, family), plots.final_boxes(standings, family)]
        own = [row for row in rows if row["family"] == family]
        several = {row["sampler"] for row in spreads(own, report.plan.contenders)}
        samplers = {c.label: c.name for c in report.plan.contenders if c.name in several}
        if samplers:
            figures.append(plots.settings_strip(own, samplers, family))
    return [
        figure.to_html(full_html=False, include_plotlyjs="inline" if i == 0 else False)
        for i, figure in enumerate(figures)
    ]


def _html_table(title: str, rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in names)
    lines = "".join(
        f"<tr>{''.join(f'<td>{escape(_text(row.get(name)))}</td>' for name in names)}</tr>"
        for row in rows
    )
    return f"<h2>{escape(title)}</h2><table><tr>{head}</tr>{lines}</table>"


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _write_csv(path: Path, rows: Sequence[Row]) -> Path:
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path
