"""Defines the data of each chart, which the service also answers.

Columns of one chart have one entry per shown trial.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tunekit.analysis.audit import StopAudit
from tunekit.analysis.health import Finding
from tunekit.records import Direction, MetricConstraint
from tunekit.spaces import Scalar


@dataclass(frozen=True, slots=True)
class Chart:
    """What each chart says.

    Attributes:
        seq: number of the study's last event when it was read.
        shown, total: how many of how many trials it shows.
    """

    seq: int
    shown: int
    total: int


@dataclass(frozen=True, slots=True)
class HistoryChart(Chart):
    """Results in order of trial number.

    Attributes:
        metric: the shown metric.
        improvements: numbers of the trials that were the best so far.
        predicted: final value that a stopper expected of a trial.
    """

    metric: str
    numbers: tuple[int, ...]
    states: tuple[str, ...]
    values: tuple[float | None, ...]
    predicted: tuple[float | None, ...]
    improvements: tuple[int, ...]
    direction: Direction = "minimize"


@dataclass(frozen=True, slots=True)
class ReportQuantiles:
    """Quantiles of the reports of trials in one state, at each step of the chart.

    Attributes:
        n: number of trials that had got as far as the step.
        quantiles: 5, 25, 50, 75 and 95 %, each with one value a step.
    """

    state: str
    n: tuple[int, ...]
    quantiles: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True, slots=True)
class CurveLine:
    """The curve of one trial, at the steps of the chart that it has reached.

    Attributes:
        predicted: final value that a stopper expected of it.
        interval: the lower and the upper end that the stopper gave it; empty without one.
    """

    number: int
    state: str
    steps: tuple[int, ...]
    values: tuple[float | None, ...]
    predicted: float | None = None
    interval: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class CurvesChart(Chart):
    """Bands of all curves, and single ones: the best, those that run, and those asked for."""

    metric: str
    steps: tuple[int, ...]
    bands: tuple[ReportQuantiles, ...]
    lines: tuple[CurveLine, ...]
    direction: Direction = "minimize"


@dataclass(frozen=True, slots=True)
class ParameterShare:
    """How much a parameter mattered.

    Attributes:
        share: of all differences between the good trials and the others.
        n_active: complete trials in which it is active.
        n_good: good trials among them.
    """

    path: str
    share: float
    n_active: int
    n_good: int


@dataclass(frozen=True, slots=True)
class BranchImportance:
    """The importance of parameters within one branch of the space; of all trials without one.

    Attributes:
        branch: path and value of the choice that opens it; empty for all trials.
        n: its complete, feasible trials.
        n_good: good ones among them.
        reason: why there are no shares.
    """

    branch: Mapping[str, Scalar]
    n: int
    n_good: int
    parameters: tuple[ParameterShare, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ImportanceChart(Chart):
    """The importance of parameters over all trials, then within each branch."""

    branches: tuple[BranchImportance, ...]


@dataclass(frozen=True, slots=True)
class FrontPoint:
    """A complete trial with its objectives; a feasible one satisfies all constraints."""

    number: int
    values: tuple[float | None, ...]
    is_feasible: bool = True


@dataclass(frozen=True, slots=True)
class FrontChart(Chart):
    """The Pareto front, and a sample of the other complete trials.

    Attributes:
        n_front: trials on the whole front, of which some may be left out.
        n_infeasible: complete trials that violate a constraint.
    """

    metrics: tuple[str, ...]
    directions: tuple[str, ...]
    front: tuple[FrontPoint, ...]
    others: tuple[FrontPoint, ...]
    constraints: tuple[MetricConstraint, ...] = ()
    n_front: int = 0
    n_infeasible: int = 0


@dataclass(frozen=True, slots=True)
class TreeNode:
    """One choice in the tree of the space, with the trials that made it.

    Attributes:
        id: place in pre-order, from 0 for the root, also in later answers of the same `seq`.
        parent: id of the node above, `None` for the root.
        path: of the parameter; empty for the root.
        value: what was chosen; text is cut at 80 characters.
        visits: trials.
        mean, sd: of the results of complete trials.
        n_folded: nodes below that are left out.
        folded_visits: trials in those.
    """

    id: int
    parent: int | None
    depth: int
    path: str
    value: Scalar | None
    visits: int
    n_complete: int
    n_stopped: int
    n_failed: int
    best: float | None
    best_number: int | None
    mean: float | None
    sd: float | None
    n_folded: int = 0
    folded_visits: int = 0


@dataclass(frozen=True, slots=True)
class TreeChart(Chart):
    """The most visited nodes of the tree, in pre-order; `shown` and `total` count nodes."""

    metric: str
    nodes: tuple[TreeNode, ...]
    direction: Direction = "minimize"


@dataclass(frozen=True, slots=True)
class StopVerdict:
    """A trial that a stopper condemned; an audited one ran on all the same."""

    number: int
    state: str
    reason: str
    is_audited: bool
    predicted: float | None
    value: float | None


@dataclass(frozen=True, slots=True)
class StopsChart(Chart):
    """The audit of early stopping, and the newest verdicts; `shown` and `total` count these.

    Attributes:
        saved_s: seconds of workers that the stopped trials did not take, by the median time of a
            full run; `None` without one.
    """

    audit: StopAudit
    verdicts: tuple[StopVerdict, ...]
    metric: str = ""
    direction: Direction = "minimize"
    saved_s: float | None = None


@dataclass(frozen=True, slots=True)
class HealthChart(Chart):
    """One finding of each health check; `shown` counts the sick ones, `total` all."""

    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class ParameterAxis:
    """A parameter of a chart of points.

    Attributes:
        low, high: ends of a range of numbers.
        choices: texts of a categorical's choices, cut at 80 characters; its values are their
            places, from 0.
    """

    path: str
    low: float | None = None
    high: float | None = None
    is_log: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PointsChart(Chart):
    """Params beside results: all good trials and a share of the others, state by state.

    Attributes:
        axes: the parameters, the most important ones first.
        n_axes: number of parameters of the space.
        columns: values by axis; `None` where the parameter is not active.
        good: numbers of the good trials among those shown.
    """

    metric: str
    n_axes: int
    axes: tuple[ParameterAxis, ...]
    numbers: tuple[int, ...]
    states: tuple[str, ...]
    values: tuple[float | None, ...]
    columns: tuple[tuple[float | None, ...], ...]
    good: tuple[int, ...] = ()
    direction: Direction = "minimize"


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One trial in a table.

    Attributes:
        value: of the shown metric.
        params: those that the table shows, as far as they are active; text is cut.
        reason: why it ended, cut.
    """

    number: int
    state: str
    value: float | None
    params: Mapping[str, Scalar]
    sampler: str
    worker: str
    started: float | None
    duration_s: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class TrialsChart(Chart):
    """One page of the table of trials; `shown` counts its rows, `total` those of all pages.

    Attributes:
        offset: place of its first row.
        n_paths: number of parameters of the space.
        paths: the parameters that it shows, those that vary.
    """

    metric: str
    offset: int
    n_paths: int
    paths: tuple[str, ...]
    rows: tuple[TrialRow, ...]


@dataclass(frozen=True, slots=True)
class TrialCurve:
    """The reports of one trial about one metric."""

    metric: str
    steps: tuple[int, ...]
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class TrialParam:
    """A parameter of a trial beside its default and its value in the best trial.

    Attributes:
        value: `None` where it is not active; text is cut.
        default: `None` where the space does not know the parameter.
        best: `None` where it is not active there, or there is no best trial.
    """

    path: str
    value: Scalar | None
    default: Scalar | None
    best: Scalar | None


@dataclass(frozen=True, slots=True)
class TrialChart(Chart):
    """Everything about one trial; `shown` counts its parameters here, `total` all it has.

    Attributes:
        place: among the complete, feasible trials by the shown metric, the best one 1; `None`
            if it is not one of them. `n_placed` counts those.
        violation: summed violation of the constraints; `None` if it cannot be told.
        error: its end, where the cause of a failure stands; `error_size` counts all characters.
        attrs: JSON form of the user's attributes, cut.
        predicted: final value that a stopper expected of it.
        interval: the lower and the upper end that the stopper gave it; empty without one.
        is_audited: whether it ran on after a stopper had condemned it.
        best_curve: reports of the best trial about the shown metric, to compare.
        lineage: trial and step of the checkpoint it started from, then of that one's, ...
        children: trials that started from its checkpoints.
        checkpoints: steps of the checkpoints that are kept.
    """

    number: int
    state: str
    metric: str
    metrics: Mapping[str, float | None]
    params: tuple[TrialParam, ...]
    sampler: str
    reason: str
    end_reason: str
    error: str
    error_size: int
    attrs: str
    worker: str
    epoch: int
    space_version: int
    created: float
    started: float | None
    finished: float | None
    place: int | None
    n_placed: int
    best: int | None
    violation: float | None
    predicted: float | None
    is_audited: bool
    interval: tuple[float | None, ...]
    curves: tuple[TrialCurve, ...]
    best_curve: TrialCurve | None
    lineage: tuple[tuple[int, int], ...]
    children: tuple[int, ...]
    checkpoints: tuple[int, ...]
