"""`mcts`: tree search decides the structure, another sampler decides the numbers at its leaf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from tunekit.checks import check_number, check_whole
from tunekit.errors import InvalidArgument, InvalidSpace
from tunekit.records import Proposal
from tunekit.samplers.base import Sampler, StudyView, at_target, held
from tunekit.samplers.mcts.decisions import ChoiceAxis, Edge, axes_of, descend, edges_of
from tunekit.samplers.mcts.paths import PathCache, default_point, jumped
from tunekit.samplers.mcts.prior import Prior, Weights, checked_weights, prior_for
from tunekit.samplers.mcts.search_tree import ROOT, SearchTree
from tunekit.samplers.mcts.selection import argmax, max_biased, puct, ucb_tuned, widened
from tunekit.samplers.mcts.statistics import pooled
from tunekit.samplers.random import RandomSampler
from tunekit.spaces import Constant, Params, Scalar

if TYPE_CHECKING:
    from numpy.typing import NDArray

Leaf: TypeAlias = Literal["bayesian", "random"]

USUAL: Mapping[Leaf, tuple[float, int]] = {"bayesian": (1.0, 8), "random": (1.0, 0)}
"""Default exploration and minimum visits of each leaf sampler."""

MAX_REPEATS = 64
"""Descents after which a point without numbers may be proposed again."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Sets how the search weighs its statistics.

    Attributes:
        exploration: weight of the confidence bound; 0 is pure exploitation.
        max_bias: weight of a branch's best score against its mean, in `[0, 1]`.
        borrow: maximum visits borrowed from the same choice in other branches.
        width: a node with N visits has up to `max(2, width * sqrt(N))` children.
        min_visits: the leaf sampler decides below a node with fewer visits.
    """

    exploration: float
    max_bias: float
    borrow: float
    width: float
    min_visits: int


@dataclass(frozen=True, slots=True)
class TreeDecision:
    """The tree's decisions for one trial."""

    choices: Mapping[str, Scalar]
    edges: tuple[Edge, ...]


class TreeSearchSampler:
    """Decides discrete parameters by UCT and leaves all others to a leaf sampler.

    Nodes are decisions in traversal order, with one child for each value of a choice and for
    each half of an ordered range. Trials score by their ranks; the value of a branch mixes its
    mean and its best score; pending trials count as visits. A branch with few visits borrows the
    statistics of the same value in other branches.

    Args:
        leaf: sampler of the numbers, and of the decisions below `min_visits`.
        exploration, max_bias, borrow, width, min_visits: see `Rule`. The default of the last
            depends on the leaf: 8 for the model, which shares information between branches; 0 for
            random numbers.
        prior: `{path: {value: weight}}`; unnamed values have weight 1.
        default_first: whether trial 0 is the default configuration.

    Raises:
        InvalidArgument: an option lies outside its range.

    Reference: Kocsis & Szepesvari, 2006, "Bandit based Monte-Carlo planning"; further references
    stand beside the code.
    """

    name = "mcts"
    may_end = False

    def __init__(
        self,
        *,
        leaf: Leaf = "bayesian",
        exploration: float | None = None,
        max_bias: float = 0.5,
        borrow: float = 4.0,
        width: float = 3.0,
        min_visits: int | None = None,
        prior: Weights | None = None,
        default_first: bool = True,
    ) -> None:
        if leaf not in ("bayesian", "random"):
            raise InvalidArgument(f'mcts: leaf={leaf!r}, expected "bayesian" or "random".')
        usual_exploration, usual_visits = USUAL[leaf]
        exploration = usual_exploration if exploration is None else exploration
        min_visits = usual_visits if min_visits is None else min_visits
        check_number(exploration, "mcts: exploration", low=0)
        check_number(max_bias, "mcts: max_bias", high=1.0, low=0)
        check_number(borrow, "mcts: borrow", low=0)
        check_number(width, "mcts: width", low=0)
        check_whole(min_visits, "mcts: min_visits", low=0)
        self.leaf = leaf
        self.rule = Rule(exploration, max_bias, borrow, width, min_visits)
        self.prior = checked_weights({} if prior is None else prior)
        self.default_first = default_first
        self._leaf_sampler = _leaf_sampler(leaf)
        self._paths = PathCache()

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number; each counts as pending for the next ones.

        Raises:
            InvalidSpace: no point satisfies the constraints of the space.
            InvalidArgument: the prior does not fit the space.
        """
        found: dict[int, Proposal] = {}
        plans: dict[int, TreeDecision] = {}
        axes = axes_of(view.space)
        prior = prior_for(view.space, axes, weights=self.prior)
        tree = self._paths.tree(view, axes)
        for number in numbers:
            point = default_point(view, number) if self.default_first else None
            if point is not None:
                found[number] = Proposal(point, self.name, "the default configuration comes first")
                tree.add(edges_of(axes, point))
                continue
            plans[number] = self._plan(view, number, axes=axes, tree=tree, prior=prior)
            tree.add(plans[number].edges)
        leaves = self._at_leaves(view, plans)
        found |= {k: self._explained(leaves[k], plans[k], prior) for k in plans}
        return [found[k] for k in numbers]

    def _plan(
        self,
        view: StudyView,
        number: int,
        *,
        axes: Mapping[str, ChoiceAxis],
        tree: SearchTree,
        prior: Prior,
    ) -> TreeDecision:
        """Return the decisions for a trial; complete points repeat only after all others."""
        fixed = at_target(view.space, held(view, number))
        rng = jumped(view.seed, number)
        closed: set[int] = set()
        # The model would start with the default configuration even if `default_first` is off.
        rule = self.rule if tree.visits(ROOT) else replace(self.rule, min_visits=0)
        for _ in range(MAX_REPEATS):
            search = Descent(tree, rule, prior, rng=rng, closed=closed)
            plan = TreeDecision(*descend(view.space, axes, search.pick, fixed=fixed))
            if tree.visits(search.node) == 0 or not _is_whole(view, plan):
                break
            closed.add(search.node)
        return plan

    def _at_leaves(
        self, view: StudyView, plans: Mapping[int, TreeDecision]
    ) -> dict[int, Proposal]:
        fixed = {
            k: Params({**p.choices, **at_target(view.space, held(view, k))})
            for k, p in plans.items()
        }
        numbers = list(plans)
        try:
            asked = replace(view, fixed={**view.fixed, **fixed})
            return dict(zip(numbers, self._leaf_sampler.suggest(asked, numbers), strict=True))
        except InvalidSpace:  # no numbers satisfy the constraints with these choices
            proposals = self._leaf_sampler.suggest(view, numbers)
            return dict(zip(numbers, proposals, strict=True))

    def _explained(self, leaf: Proposal, plan: TreeDecision, prior: Prior) -> Proposal:
        kept = {k: v for k, v in plan.choices.items() if leaf.params.get(k, ...) == v}
        what = f"{len(kept)} of {len(leaf.params)} values by tree search"
        if len(kept) < len(plan.choices):
            what = "no point with the choices of tree search satisfies the constraints"
        if prior.unused:
            what += f" (prior without effect: no parameter {', '.join(prior.unused)})"
        evidence = {**leaf.evidence, "tree": kept}
        return Proposal(leaf.params, self.name, f"{what}; the rest: {leaf.reason}", evidence)


@dataclass(eq=False)
class Descent:
    """Descends from the root, choosing every edge by its statistics in the tree.

    Args:
        closed: nodes without untried points; nodes whose children are all closed are added.

    Attributes:
        node: current node; -1 outside the tree.
    """

    tree: SearchTree
    rule: Rule
    prior: Prior
    _: KW_ONLY
    rng: np.random.Generator
    closed: set[int]
    node: int = field(default=ROOT, init=False)
    _value: float = field(default=0.5, init=False)  # of the last node on the path with a score

    def pick(self, edges: Sequence[Edge]) -> Edge | None:
        """Return the edge to take, `None` if the leaf sampler decides."""
        if self.tree.visits(self.node) < self.rule.min_visits:
            return None
        value = self.tree.value(self.node)
        self._value = self._value if value is None else value
        left = [e for e in edges if self.tree.child(self.node, e) not in self.closed]
        if not left:
            self.closed.add(self.node)
        left = left or list(edges)
        edge = left[0] if len(left) == 1 else left[argmax(self._scores(left), self.rng)]
        self.node = self.tree.child(self.node, edge)
        return edge

    def _scores(self, edges: Sequence[Edge]) -> NDArray[np.float64]:
        rule = self.rule
        own, everywhere = self.tree.children(self.node, edges)
        children = pooled(own, everywhere, rule.borrow)
        q = max_biased(children, rule.max_bias, self._value)
        shares = self.prior.shares(edges)
        if shares is None:
            scores = ucb_tuned(q, children, rule.exploration)
        else:
            scores = puct(q, children, rule.exploration, prior=shares)
        return widened(scores, children, rule.width)


def _is_whole(view: StudyView, plan: TreeDecision) -> bool:
    """Return whether a plan decides every active parameter."""
    active = (p for p in view.space.parameters if p.is_active(plan.choices))
    return all(p.path in plan.choices or isinstance(p.domain, Constant) for p in active)


def _leaf_sampler(name: Leaf) -> Sampler:
    if name == "random":
        return RandomSampler()
    from tunekit.samplers.bayesian.sampler import (
        BayesianSampler,  # imported on demand, because the model is heavy
    )

    return BayesianSampler()
