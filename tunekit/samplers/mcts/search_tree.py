"""The tree that trials span, with edge statistics per node and over all branches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from tunekit.samplers.mcts.decisions import Edge
from tunekit.samplers.mcts.statistics import Statistics, backed_up

ROOT = 0
UNKNOWN = -1


class SearchTree:
    """Stores the paths of trials; nodes are numbered by first visit, and node 0 is the root.

    Args:
        grows_by_one: whether a trial adds only one node, as in DeepArchitect, which records no
            decisions below it; otherwise its whole path is added.
    """

    def __init__(self, *, grows_by_one: bool = False) -> None:
        self.grows_by_one = grows_by_one
        self._children: list[dict[Edge, int]] = [{}]
        self._edges: dict[Edge, int] = {}
        self._paths: list[list[int]] = []
        self._edge_paths: list[list[int]] = []
        self._scores: list[float] = []
        self._expanded: set[int] = set()
        self._statistics: tuple[Statistics, Statistics] | None = None

    def __len__(self) -> int:
        return len(self._children)

    def add(self, edges: Iterable[Edge], score: float = math.nan) -> None:
        """Add a trial's path; a trial without a score is pending."""
        path, edge_path = [ROOT], []
        for edge in edges:
            was_expanded = path[-1] in self._expanded
            self._expanded.add(path[-1])
            path.append(self._child(path[-1], edge))
            edge_path.append(self._edges.setdefault(edge, len(self._edges)))
            if self.grows_by_one and not was_expanded:
                break
        self._paths.append(path)
        self._edge_paths.append(edge_path)
        self._scores.append(score)
        self._statistics = None

    def child(self, node: int, edge: Edge) -> int:
        """Return the node that an edge leads to, -1 if no trial has taken it."""
        return UNKNOWN if node < 0 else self._children[node].get(edge, UNKNOWN)

    def is_expanded(self, node: int) -> bool:
        """Return whether a trial has continued from a node within the tree."""
        return node in self._expanded

    def visits(self, node: int) -> int:
        """Return the number of trials through a node."""
        return 0 if node < 0 else int(self._computed()[0].visits[node])

    def value(self, node: int) -> float | None:
        """Return the mean score of a node, `None` without scores."""
        own = self._computed()[0]
        if node < 0 or own.scored[node] == 0:
            return None
        return float(own.total[node] / own.scored[node])

    def children(self, node: int, edges: Sequence[Edge]) -> tuple[Statistics, Statistics]:
        """Return the `(k,)` statistics of edges, at this node and summed over all nodes."""
        own, everywhere = self._computed()
        here = [self.child(node, e) for e in edges]
        anywhere = [self._edges.get(e, UNKNOWN) for e in edges]
        return own.at(here), everywhere.at(anywhere)

    def _child(self, node: int, edge: Edge) -> int:
        found = self._children[node].get(edge)
        if found is None:
            found = len(self._children)
            self._children[node][edge] = found
            self._children.append({})
        return found

    def _computed(self) -> tuple[Statistics, Statistics]:
        if self._statistics is None:
            scores = np.asarray(self._scores)
            self._statistics = (
                backed_up(self._paths, scores, len(self._children)),
                backed_up(self._edge_paths, scores, max(1, len(self._edges))),
            )
        return self._statistics
