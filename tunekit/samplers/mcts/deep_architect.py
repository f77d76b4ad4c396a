"""DeepArchitect's published tree search, for comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tunekit.checks import check_number, check_whole
from tunekit.records import Proposal
from tunekit.samplers.base import StudyView, at_target, held, known_points, repaired, sample
from tunekit.samplers.mcts.decisions import ChoiceAxis, Edge, axes_of, descend, edges_of
from tunekit.samplers.mcts.paths import PathCache, default_point
from tunekit.samplers.mcts.search_tree import ROOT, SearchTree
from tunekit.samplers.mcts.selection import argmax, ucb1
from tunekit.samplers.random_streams import stream
from tunekit.spaces import walk


class DeepArchitectSampler:
    """Proposes by UCB1 down to the first node without children, then at random.

    All parameters are decisions. It differs from the original as follows: only ordered lists are
    bisected, not all lists; floats are binned here, not by the user; scores are ranks in
    `[0, 1]`, which give the exploration weight a meaning; pending trials count as visits.

    Args:
        exploration: c in `mean + c * sqrt(2 ln N / n)`.
        bins: number of values of a float, evenly spaced on its (log) scale.
        default_first: whether trial 0 is the default configuration.

    Raises:
        InvalidArgument: an option lies outside its range.

    Reference: Negrinho & Gordon, 2017, "DeepArchitect: automatically designing and training deep
    architectures", section 5.2 (equation 1).
    """

    name = "mcts"
    may_end = False

    def __init__(
        self, *, exploration: float = 0.5, bins: int = 8, default_first: bool = True
    ) -> None:
        check_number(exploration, "mcts: exploration", low=0)
        check_whole(bins, "mcts: bins", low=2)
        self.exploration = exploration
        self.bins = bins
        self.default_first = default_first
        self._paths = PathCache()

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number; each counts as pending for the next ones.

        Raises:
            InvalidSpace: no point satisfies the constraints of the space.
        """
        axes = axes_of(view.space, bins=self.bins)
        tree = self._paths.tree(view, axes, grows_by_one=True)
        proposals = []
        for number in numbers:
            point = default_point(view, number) if self.default_first else None
            if point is not None:
                why = "the default configuration comes first"
                proposals.append(Proposal(point, self.name, why))
            else:
                proposals.append(self._propose(view, number, axes=axes, tree=tree))
            tree.add(edges_of(axes, proposals[-1].params))
        return proposals

    def _propose(
        self, view: StudyView, number: int, *, axes: Mapping[str, ChoiceAxis], tree: SearchTree
    ) -> Proposal:
        rng = stream(view.seed, number)
        fixed = at_target(view.space, held(view, number))
        search = UcbSearch(tree, self.exploration, rng=rng)
        choices, edges = descend(view.space, axes, search.pick, fixed=fixed)
        values = {**choices, **fixed}  # a fixed value need not be the middle of its bin
        point = walk(view.space, lambda p, _: values[p.path])
        why = f"UCB1 for {search.n_picked} of {len(edges)} decisions, the others at random"
        if view.space.violated(point):
            near = repaired(view.space, point, rng, fixed)
            point = near or sample(view.space, rng, fixed, known=known_points(view))
            why += ", repaired to satisfy the constraints"
        return Proposal(point, self.name, f"DeepArchitect: {why}")


class UcbSearch:
    """Descends by UCB1 through expanded nodes, then uniformly."""

    def __init__(self, tree: SearchTree, exploration: float, *, rng: np.random.Generator) -> None:
        self._tree = tree
        self._exploration = exploration
        self._rng = rng
        self._node = ROOT
        self.n_picked = 0

    def pick(self, edges: Sequence[Edge]) -> Edge:
        """Return the edge to take."""
        if self._tree.is_expanded(self._node):
            own, _ = self._tree.children(self._node, edges)
            edge = edges[argmax(ucb1(own, self._exploration), self._rng)]
            self.n_picked += 1
        else:
            weights = np.array([e.hi - e.lo for e in edges], dtype=np.float64)
            edge = edges[int(self._rng.choice(len(edges), p=weights / weights.sum()))]
        self._node = self._tree.child(self._node, edge)
        return edge
