"""The page of the search tree: where the trials went, and what a branch is worth."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import streamlit as st

from tunekit.analysis.charts.records import TreeChart, TreeNode
from tunekit.plots.tree import node_name, tree_figure
from tunekit.spaces import Scalar
from tunekit_dashboard.actions.enqueue import enqueue_button
from tunekit_dashboard.figures import show_figure
from tunekit_dashboard.filters import choose_branch
from tunekit_dashboard.frame import StudyFrame
from tunekit_dashboard.navigation import StudyPage
from tunekit_dashboard.texts import number, plain

FORMS = {"tree": "Tree", "areas": "Areas"}


def show(study: StudyFrame) -> None:
    """Draw the tree, and details of the chosen branch beside it."""
    chart = study.chart("tree", TreeChart, branch=None)  # the tree itself stays whole
    left, right = st.columns([2, 1], gap="medium")
    with left:
        form = st.segmented_control(
            "Form", list(FORMS), format_func=FORMS.__getitem__, default="tree", required=True,
            key="form", bind="query-params", label_visibility="collapsed",
        )  # fmt: skip
        show_figure(
            tree_figure(chart), key=f"tree {form}", is_nested=form == "areas",
            on_pick=partial(_pick, chart),
        )  # fmt: skip
        st.caption(
            "Area: trials. Colour: best result, the brightest is best. Border: spread of the "
            "results. A click on a branch narrows all pages to its trials; a click on the root "
            "shows all again."
        )
    with right:
        _node_card(study, chart, _chosen(chart, study.filters.branch))


def _pick(chart: TreeChart, picked: tuple[int, ...]) -> None:
    """Make the picked branch the filter of all pages."""
    node = next((n for n in chart.nodes if n.id in picked), None)
    if node is not None:
        choose_branch(f"{node.path}={node.value}" if node.path else "")


def _chosen(chart: TreeChart, branch: str) -> TreeNode | None:
    """Return the most visited node of a branch, the root without one."""
    nodes = [n for n in chart.nodes if (f"{n.path}={n.value}" if n.path else "") == branch]
    return max(nodes, key=lambda n: n.visits, default=None)


def _node_card(study: StudyFrame, chart: TreeChart, node: TreeNode | None) -> None:
    with st.container(border=True):
        if node is None:
            st.markdown(f"**{plain(study.filters.branch, 80)}**")
            st.caption("This branch is not among those drawn.")
            return
        st.markdown(f"**{plain(node_name(node), 80)}**")
        metric = plain(chart.metric, 40)
        st.markdown("  \n".join(_facts(node, metric, study.record.spec.stopper)))
        if node.best_number is not None:
            study.link(
                "trial", f"Best trial {node.best_number}", icon=":material/star:",
                trial=str(node.best_number),
            )  # fmt: skip
        if node.n_folded:
            st.caption(f"{node.n_folded:,} rarer choices below it are folded.")
        fixed = _choices(chart, node)
        enqueue_button(study, "Enqueue here", fixed=fixed, key="enqueue here")


def _facts(node: TreeNode, metric: str, stopper: str) -> list[str]:
    who = f" by {plain(stopper, 40)}" if stopper else ""
    facts = [f"{node.visits:,} trials, {node.n_complete:,} complete"]
    if node.n_stopped:
        facts.append(f"{node.n_stopped:,} stopped early{who}")
    if node.n_failed:
        facts.append(f"{node.n_failed:,} failed")
    if node.best is None:
        facts.append(f"no result of {metric} yet")
        return facts
    facts.append(f"best {metric} {number(node.best)}")
    if node.mean is not None:
        spread = f" ± {number(node.sd, 2)}" if node.sd is not None else ""
        facts.append(f"mean {number(node.mean)}{spread} over the complete trials")
    return facts


def _choices(chart: TreeChart, node: TreeNode) -> Mapping[str, Scalar]:
    """Return the choices from the root down to a node."""
    by_id = {n.id: n for n in chart.nodes}
    found: dict[str, Scalar] = {}
    above: TreeNode | None = node
    while above is not None:
        if above.path and above.value is not None:
            found[above.path] = above.value
        above = None if above.parent is None else by_id.get(above.parent)
    return dict(reversed(found.items()))


VIEW = StudyPage("tree", "Search tree", ":material/account_tree:", show)
