"""Builds the search tree that the trials of a study span."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tunekit.samplers.base import StudyView
from tunekit.samplers.mcts.decisions import ChoiceAxis, Edge, edges_of
from tunekit.samplers.mcts.scores import scored_trials
from tunekit.samplers.mcts.search_tree import SearchTree
from tunekit.samplers.random_streams import stream
from tunekit.spaces import Params, Space


class PathCache:
    """Caches the edges of each trial; rebuilding the tree itself is cheap."""

    def __init__(self) -> None:
        self._space: Space | None = None
        self._edges: dict[int, tuple[Params, tuple[Edge, ...]]] = {}

    def tree(
        self, view: StudyView, axes: Mapping[str, ChoiceAxis], *, grows_by_one: bool = False
    ) -> SearchTree:
        """Return the tree of all informative trials of a study, in their order."""
        if self._space != view.space:
            self._space, self._edges = view.space, {}
        tree = SearchTree(grows_by_one=grows_by_one)
        trials, scores = scored_trials(view.history)
        for trial, score in zip(trials, scores.tolist(), strict=True):
            params = trial.params or Params()
            known = self._edges.get(trial.number)
            if known is None or known[0] != params:
                known = self._edges[trial.number] = (params, edges_of(axes, params))
            tree.add(known[1], score)
        return tree


def default_point(view: StudyView, number: int) -> Params | None:
    """Return the default configuration for trial 0, `None` if invalid or if values are fixed."""
    if number != 0 or number in view.fixed:
        return None
    point = view.space.default()
    return None if view.space.violated(point) else point


def jumped(seed: int, number: int) -> np.random.Generator:
    """Return a trial's random stream for the tree, independent of its leaf sampler's stream."""
    return np.random.Generator(stream(seed, number).bit_generator.jumped())  # type: ignore[attr-defined]
