"""Describes a figure by its data, independently of the library that draws it.

A builder turns the data of a chart (`tunekit.analysis.charts`) into one of these records;
`tunekit.plots.plotly` draws it in a notebook or a report, `tunekit_dashboard.charts.echarts` on a
page. Each figure carries its alternative text, and `table` gives the same numbers as rows.

Texts of a figure come from users: a renderer shows them as text, never as HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Role: TypeAlias = Literal[
    "complete", "running", "queued", "stopped", "failed", "diverged", "best", "selected", "model",
    "reference", "other",
]  # fmt: skip
"""What a mark stands for; a renderer gives each role one colour and one shape."""

MAX_MARKS = 2000
"""Points, vertices, cells, bars, nodes or lines of one figure, however long its study is."""

Values: TypeAlias = tuple[float | None, ...]
"""Numbers in drawing order; `None` where there is none to draw."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis.

    Attributes:
        title: quantity, with its unit where it has one.
        is_log: on a logarithmic scale.
        is_time: values are seconds since 1970-01-01 UTC.
        categories: texts of the places 0, 1, ...; empty for numbers.
        low, high: shown range; marks beyond it are cut off. `None` where all marks fit.
    """

    title: str
    is_log: bool = False
    is_time: bool = False
    categories: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Points:
    """Single points.

    Attributes:
        x, y: coordinates, equally long.
        numbers: the trial behind each point, where there is one.
        is_faint: drawn in the background.
    """

    name: str
    x: Values
    y: Values
    role: Role = "complete"
    numbers: tuple[int, ...] = ()
    is_faint: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points in their order; `None` in y interrupts it.

    Attributes:
        is_stepped: keeps y until the next x, and then jumps.
    """

    name: str
    x: Values
    y: Values
    role: Role = "complete"
    number: int | None = None
    is_dashed: bool = False
    is_stepped: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """The area between two curves over the same x."""

    name: str
    x: Values
    low: Values
    high: Values
    role: Role = "complete"


@dataclass(frozen=True, slots=True)
class Bars:
    """Horizontal bars; the categories stand on the y axis, the first on top.

    Attributes:
        lengths: one value for each category.
        low, high: ends of the interval of each value, where it has one.
    """

    name: str
    lengths: Values
    low: Values = ()
    high: Values = ()
    role: Role = "complete"


@dataclass(frozen=True, slots=True)
class Heatmap:
    """Colours over a grid.

    Attributes:
        x, y: centres of the columns and rows.
        z: one tuple a row, one value a column.
        title: of the colour scale.
    """

    name: str
    title: str
    x: Values
    y: Values
    z: tuple[Values, ...]
    lower_is_better: bool = True


@dataclass(frozen=True, slots=True)
class Spans:
    """Intervals on rows: who did what from when to when; rows are categories of the y axis.

    Attributes:
        rows: place of each interval's row.
        starts, ends: in the units of the x axis; an open end is `None`.
        texts: what each interval shows.
        numbers: the trial behind each interval.
    """

    name: str
    rows: tuple[int, ...]
    starts: Values
    ends: Values
    texts: tuple[str, ...]
    numbers: tuple[int, ...] = ()
    role: Role = "complete"


Mark: TypeAlias = Points | Line | Band | Bars | Heatmap | Spans


@dataclass(frozen=True, slots=True)
class Captions:
    """The words of a figure.

    Attributes:
        alt: the figure's message in one or two sentences, for those who do not see it.
        note: what the reader has to know beside it, such as "2,000 of 10,000 trials".
        reason: why there is nothing to see, in one sentence; shown in place of the marks.
    """

    title: str
    alt: str
    note: str = field(default="", kw_only=True)
    reason: str = field(default="", kw_only=True)


@dataclass(frozen=True, slots=True)
class PlaneFigure(Captions):
    """Marks over two axes."""

    x: Axis
    y: Axis
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class PanelFigure(Captions):
    """Small figures side by side, such as one for each parameter."""

    panels: tuple[PlaneFigure, ...]


@dataclass(frozen=True, slots=True)
class TreeFigureNode:
    """One node of a tree, in pre-order.

    Attributes:
        id: of the node in the chart; of a folded node, that of its parent.
        parent: place of its parent in the figure's nodes; `None` for the root.
        label: shown text.
        size: trials below it.
        value: best result, which gives the colour.
        spread: standard deviation of the results, which gives the border.
        is_folded: stands for further nodes that are left out.
        n_stopped, n_failed: trials below it that a stopper ended, and that have failed.
    """

    id: int
    parent: int | None
    label: str
    size: int
    value: float | None
    spread: float | None = None
    is_folded: bool = False
    n_stopped: int = 0
    n_failed: int = 0


@dataclass(frozen=True, slots=True)
class TreeFigure(Captions):
    """A tree with a size and a value at each node."""

    nodes: tuple[TreeFigureNode, ...]
    value_title: str
    lower_is_better: bool


@dataclass(frozen=True, slots=True)
class ParallelAxis:
    """One axis of parallel coordinates; a `None` in its values lies in a lane "not active"."""

    axis: Axis
    values: Values


@dataclass(frozen=True, slots=True)
class ParallelFigure(Captions):
    """One line a trial across parallel axes; the last axis holds the results.

    Attributes:
        numbers, roles: of the trials, in the order of the values of each axis.
    """

    axes: tuple[ParallelAxis, ...]
    numbers: tuple[int, ...]
    roles: tuple[Role, ...]
    lower_is_better: bool


Figure: TypeAlias = PlaneFigure | PanelFigure | TreeFigure | ParallelFigure


@dataclass(frozen=True, slots=True)
class FigureTable:
    """The numbers of a figure: one row a mark."""

    columns: tuple[str, ...]
    rows: tuple[Sequence[str | float | int | None], ...]
