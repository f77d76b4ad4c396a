"""The figure of the search tree: where the trials went, and what they found there."""

from __future__ import annotations

from tunekit.analysis.charts.records import TreeChart, TreeNode
from tunekit.plots.figure import TreeFigure, TreeFigureNode
from tunekit.plots.texts import amount, best_word, label, path_label, sentences, shown_of

MAX_VALUE = 24
"""Characters of a choice at a node."""


def tree_figure(chart: TreeChart) -> TreeFigure:
    """Return the most visited branches; what is left out of one stands folded below it."""
    metric = label(chart.metric)
    title = f"search tree by {metric}"
    is_lower = chart.direction == "minimize"
    if not chart.nodes or not chart.nodes[0].visits:
        reason = "No trial has params yet."
        return TreeFigure(title, reason, (), metric, is_lower, note="", reason=reason)
    nodes = tuple(_with_folded(chart.nodes))
    one_level = "the space has no branches known yet" if len(chart.nodes) == 1 else ""
    note = sentences(shown_of(chart.shown, chart.total, "node"), one_level)
    return TreeFigure(title, _alt(chart), nodes, metric, is_lower, note=note)


def node_name(node: TreeNode) -> str:
    """Return what a node stands for: "model=rbf", "all trials" for the root."""
    if not node.path:
        return "all trials"
    return f"{path_label(node.path.rpartition('.')[2])}={label(str(node.value), MAX_VALUE)}"


def _with_folded(nodes: tuple[TreeNode, ...]) -> list[TreeFigureNode]:
    places: dict[int, int] = {}
    made: list[TreeFigureNode] = []
    waiting: list[TreeNode] = []  # the open ancestors, whose folded rest comes after their nodes
    for node in nodes:
        while waiting and waiting[-1].id != node.parent:
            made += _rest(waiting.pop(), places)
        places[node.id] = len(made)
        parent = None if node.parent is None else places[node.parent]
        made.append(
            TreeFigureNode(
                node.id, parent, _label(node), node.visits, node.best, spread=node.sd,
                n_stopped=node.n_stopped, n_failed=node.n_failed,
            )
        )  # fmt: skip
        waiting.append(node)
    while waiting:
        made += _rest(waiting.pop(), places)
    return made


def _rest(node: TreeNode, places: dict[int, int]) -> list[TreeFigureNode]:
    if not node.n_folded:
        return []
    text = f"+{node.n_folded:,}"
    parent = places[node.id]
    return [TreeFigureNode(node.id, parent, text, node.folded_visits, None, is_folded=True)]


def _label(node: TreeNode) -> str:
    text = f"{node_name(node)} n={node.visits:,}"
    return text if node.best is None else f"{text} best {amount(node.best)}"


def _alt(chart: TreeChart) -> str:
    root = chart.nodes[0]
    leaves = [n for n in chart.nodes[1:] if n.depth == 1]
    able = [n for n in leaves if n.best is not None]
    is_lower = chart.direction == "minimize"
    best = min(able, key=lambda n: (n.best or 0.0) * (1 if is_lower else -1), default=None)
    most = max(leaves, key=lambda n: n.visits, default=None)
    failed = max(leaves, key=lambda n: n.n_failed, default=None)
    return sentences(
        f"{root.visits:,} trials in {chart.total:,} nodes of the space",
        f"most went to {node_name(most)} ({most.visits:,})" if most else "",
        f"the {best_word(chart.direction)} {label(chart.metric)}, {amount(best.best)}, is in "
        f"{node_name(best)}" if best else "",
        f"most failures, {failed.n_failed:,}, are in {node_name(failed)}"
        if failed and failed.n_failed else "",
    )  # fmt: skip
