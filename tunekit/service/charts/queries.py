"""The requests to the process that computes charts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from tunekit.analysis.charts.filters import ALL, TrialFilter
from tunekit.analysis.charts.trials import Sort
from tunekit.spaces import Space

ChartName: TypeAlias = Literal[
    "history",
    "curves",
    "importance",
    "front",
    "tree",
    "stops",
    "slices",
    "parallel",
    "health",
    "law",
    "knobs",
    "proposers",
    "trials",
    "trial",
    "contour",
    "timeline",
    "budget",
    "summary",
    "workers",
    "space",
    "preview",
]

LIVE = frozenset({"curves", "stops", "trial", "workers"})
"""Charts of reports and leases, which change without a new event of the study."""


@dataclass(frozen=True, slots=True)
class ChartQuery:
    """Asks for one chart.

    Attributes:
        study_id: of the study.
        seq: number of its last event, which the answer repeats.
        name: of the chart.
        metric: shown metric; empty for the first objective.
        most: maximum number of points, lines or nodes.
        quantile: share of good trials, for the importance.
        paths: parameters to show; empty for the most important ones.
        numbers: trials to highlight, or the one that is asked about.
        space: the edited space of a preview.
        trials: which trials it is about.
        sort, descending, offset: order and first row of a table.
        held_back: why a quota gives no trials, for the workers.
        study: name of the study as its project knows it, for charts that advise commands.
    """

    study_id: int
    seq: int
    name: ChartName
    metric: str = ""
    most: int = 2000
    quantile: float = 0.25
    paths: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    space: Space | None = None
    trials: TrialFilter = ALL
    sort: Sort = "number"
    descending: bool = True
    offset: int = 0
    held_back: str = ""
    study: str = ""
