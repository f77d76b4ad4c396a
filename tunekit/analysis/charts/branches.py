"""Charts of the tree of the space: its nodes, and the importance of parameters by branch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tunekit.analysis.charts.records import (
    BranchImportance,
    ImportanceChart,
    ParameterShare,
    TreeChart,
    TreeNode,
)
from tunekit.analysis.charts.samples import cut, number
from tunekit.analysis.importance import importance_of
from tunekit.errors import NoCompleteTrial
from tunekit.history import History
from tunekit.records import ObjectiveSpec, TrialRecord, TrialState
from tunekit.spaces import Scalar, Space

MAX_BRANCHES = 20
_FAILED = (TrialState.FAILED, TrialState.LOST, TrialState.DIVERGED)

Choice = tuple[str, Scalar]


@dataclass(slots=True)
class _Node:
    """A node while trials are counted."""

    choice: Choice | None = None
    trials: list[TrialRecord] = field(default_factory=list)
    children: dict[Choice, _Node] = field(default_factory=dict)


def tree_chart(
    history: History, space: Space, objective: ObjectiveSpec, *, seq: int, most: int
) -> TreeChart:
    """Return the most visited nodes in pre-order; what is left out is folded into its parent."""
    root = _tree(history, space)
    order = list(_pre_order(root))
    visits = [len(node.trials) for node, _, _ in order]
    # A node has no more visits than its parent and comes after it, so that parents stay.
    kept = set(sorted(range(len(order)), key=lambda i: (-visits[i], i))[:most])
    folded = [[0, 0] for _ in order]
    for i, (node, parent, _) in enumerate(order):
        if i not in kept and parent is not None:
            above, is_top = parent, parent in kept
            while above not in kept:
                above = order[above][1] or 0
            folded[above][0] += 1
            folded[above][1] += len(node.trials) if is_top else 0
    nodes = tuple(
        _counted(i, parent, depth, node, objective, history, (folded[i][0], folded[i][1]))
        for i, (node, parent, depth) in enumerate(order)
        if i in kept
    )
    return TreeChart(seq, len(nodes), len(order), objective.metric, nodes, objective.direction)


def importance_chart(
    history: History, space: Space, *, quantile: float, seq: int, most: int
) -> ImportanceChart:
    """Return shares over all trials, then within the branches with the most trials."""
    able = [t for t in history.complete() if history.violation(t) == 0.0]
    branches: dict[Choice, list[TrialRecord]] = {}
    for t in able:
        for choice in _choices(t, space):
            branches.setdefault(choice, []).append(t)
    largest = sorted(branches.items(), key=lambda item: -len(item[1]))[:MAX_BRANCHES]
    parts = [_shares({}, able, history, space, quantile, most)]
    parts += [
        _shares({path: _cut(value)}, of, history, space, quantile, most)
        for (path, value), of in largest
    ]
    return ImportanceChart(seq, len(able), len(history), tuple(parts))


def _shares(
    branch: dict[str, Scalar],
    trials: Sequence[TrialRecord],
    history: History,
    space: Space,
    quantile: float,
    most: int,
) -> BranchImportance:
    losses = history.losses(trials)
    try:
        shares, is_good = importance_of(trials, losses, space, quantile=quantile)
    except NoCompleteTrial as error:
        return BranchImportance(branch, len(trials), 0, reason=error.message)
    good = [t for t, flag in zip(trials, is_good, strict=True) if flag]
    parameters = [
        ParameterShare(path, share, _n_active(path, trials), _n_active(path, good))
        for path, share in list(shares.items())[:most]
    ]
    return BranchImportance(branch, len(trials), len(good), tuple(parameters))


def _n_active(path: str, trials: Sequence[TrialRecord]) -> int:
    return sum(t.params is not None and path in t.params for t in trials)


def _choices(trial: TrialRecord, space: Space) -> list[Choice]:
    """Return the values of a trial that open branches, in the order of the space."""
    parents = {c.parent for p in space for c in p.conditions}
    params: Mapping[str, Scalar] = trial.params or {}
    return [(p.path, params[p.path]) for p in space if p.path in parents and p.path in params]


def _tree(history: History, space: Space) -> _Node:
    parents = {c.parent for p in space for c in p.conditions}
    paths = [p.path for p in space if p.path in parents]
    root = _Node()
    for t in history:
        if t.params is None:
            continue
        root.trials.append(t)
        node = root
        for path in paths:
            if path in t.params:
                choice = (path, t.params[path])
                node = node.children.setdefault(choice, _Node(choice))
                node.trials.append(t)
    return root


def _pre_order(root: _Node) -> Iterator[tuple[_Node, int | None, int]]:
    """Yield nodes with the id of their parent and their depth, the most visited child first."""
    todo: list[tuple[_Node, int | None, int]] = [(root, None, 0)]
    count = 0
    while todo:
        node, parent, depth = todo.pop()
        yield node, parent, depth
        children = sorted(node.children.values(), key=lambda c: (len(c.trials), repr(c.choice)))
        todo += [(child, count, depth + 1) for child in children]
        count += 1


def _counted(
    i: int,
    parent: int | None,
    depth: int,
    node: _Node,
    objective: ObjectiveSpec,
    history: History,
    folded: tuple[int, int],
) -> TreeNode:
    trials = node.trials
    complete = [t for t in trials if t.state is TrialState.COMPLETE]
    measured = [t for t in complete if objective.metric in t.metrics]
    values = [t.metrics[objective.metric] for t in measured]
    able = [t for t in measured if history.violation(t) == 0.0]
    best = min(able, key=lambda t: objective.loss(t.metrics[objective.metric]), default=None)
    path, value = node.choice or ("", None)
    return TreeNode(
        i, parent, depth, path, _cut(value), len(trials), len(complete),
        sum(t.state is TrialState.STOPPED for t in trials),
        sum(t.state in _FAILED for t in trials),
        None if best is None else number(best.metrics[objective.metric]),
        None if best is None else best.number,
        _mean(values),
        _sd(values),
        *folded,
    )  # fmt: skip


def _mean(values: Sequence[float]) -> float | None:
    return number(math.fsum(v / len(values) for v in values)) if values else None


def _sd(values: Sequence[float]) -> float | None:
    if len(values) < 2:
        return None
    # In units of the largest one, since the square of 1e200 is infinite.
    unit = float(np.max(np.abs(values))) or 1.0
    return number(unit * float(np.std(np.divide(values, unit), ddof=1)))


def _cut(value: Scalar | None) -> Scalar | None:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return cut(value) if isinstance(value, str) else value
