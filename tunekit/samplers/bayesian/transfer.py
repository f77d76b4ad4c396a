"""Learns from earlier studies: where to start, and whose model to trust how far.

Reference: Feurer et al., 2018, "Scalable meta-learning for Bayesian optimization using
ranking-weighted Gaussian process ensembles", arXiv 1802.02219.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunekit.samplers.bayesian.fitting import chosen_rows, fitted
from tunekit.samplers.bayesian.past_studies import PastStudy
from tunekit.samplers.bayesian.training_data import standardised
from tunekit.spaces import Params
from tunekit.spaces.encode import Encoder
from tunekit_surrogates.blocks import BlockStructure
from tunekit_surrogates.tree_gp import TreeGP

MIN_POINTS = 5
"""An earlier study with fewer usable points has no model."""

N_START = 3
"""Winners of earlier studies that are tried at most."""

N_WINNERS = 5
"""Winners of each study from which those are chosen."""

ENOUGH = 0.02
"""A further winner has to lower the mean normalised regret by so much."""

N_DRAWS = 512
N_RANKED = 40
"""Trials whose order the models are judged by."""

N_OWN = 10
"""Trials from which the study's own model keeps its floor."""


@dataclass(frozen=True, slots=True)
class PastModel:
    """The model of an earlier study, over the current space.

    Attributes:
        n_kept: trials that were kept of it.
        points: those that have a place in the current space, the best first.
    """

    name: str
    n_kept: int
    points: list[Params]
    gp: TreeGP


def sources_of(
    past: Sequence[PastStudy], encoder: Encoder, structure: BlockStructure
) -> tuple[PastModel, ...]:
    """Return the models of the earlier studies that have something to say about a space."""
    found = []
    for study in past:
        pairs = study.points(encoder.space)
        y = standardised(np.array([loss for _, loss in pairs])) if pairs else np.zeros(0)
        if len(pairs) < MIN_POINTS or not y.any() or not len(encoder):
            continue
        points = [point for point, _ in pairs]
        gp, _ = fitted(structure, encoder.encode(points), y)
        found.append(PastModel(study.name, len(study.trials), points, gp))
    return tuple(found)


def portfolio(sources: Sequence[PastModel], encoder: Encoder) -> list[Params]:
    """Return winners that do well together: each is the one that helps most beside the others.

    How well a winner of one study does in another is what that one's model says of it, as a
    normalised regret: 0 is the study's best trial, 1 its median.
    """
    winners = [point for s in sources for point in s.points[:N_WINNERS]]
    if not winners:
        return []
    regret = np.array([_regret(s, encoder.encode(winners)) for s in sources])
    chosen: list[int] = []
    left = np.ones(len(sources))
    while len(chosen) < N_START:
        means = np.minimum(left[:, None], regret).mean(axis=0)
        best = int(np.argmin(means))
        if chosen and left.mean() - means[best] < ENOUGH:
            break
        chosen.append(best)
        left = np.minimum(left, regret[:, best])
    return [winners[i] for i in chosen]


def _regret(source: PastModel, x: NDArray[np.float64]) -> NDArray[np.float64]:
    best, middle = float(source.gp.y.min()), float(np.median(source.gp.y))
    return np.clip((source.gp.predict(x)[0] - best) / max(middle - best, 1e-9), 0.0, 1.0)


def rank_weights(
    own: TreeGP, sources: Sequence[TreeGP], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return `(m + 1,)` weights, the last of them of the study's own model; their sum is 1.

    A model's weight is how often, over draws of its posterior, it orders the study's trials with
    the fewest pairs the wrong way round. One that is mostly worse than the own model at its worst
    gets nothing. From `N_OWN` trials the own model weighs at least `1 / (m + 1)`.

    Args:
        own: of the study; it is judged by its predictions of each trial from all others.
        sources: of earlier studies.
        rng: for the draws.
    """
    rows = chosen_rows(own.y, N_RANKED)
    x, y = own.x[rows], own.y[rows]
    losses = [_misranked(_joint_draws(gp, x, rng), None, y) for gp in sources]
    mean, var = own.leave_one_out()
    alone = mean[rows] + np.sqrt(var[rows]) * rng.standard_normal((N_DRAWS, len(rows)))
    losses.append(_misranked(alone, y, y))
    # Against the dilution of the weights by many weak models.
    worst = np.quantile(losses[-1], 0.95)
    kept = np.array([*(np.median(loss) <= worst for loss in losses[:-1]), True])
    found = np.where(kept[:, None], np.array(losses), np.inf)
    is_best = found == found.min(axis=0)
    weights = np.asarray((is_best / is_best.sum(axis=0)).mean(axis=1))
    floor = 1.0 / len(weights)
    if len(own.y) >= N_OWN and weights[-1] < floor:
        weights[:-1] *= (1.0 - floor) / weights[:-1].sum()
        weights[-1] = floor
    return weights


def _joint_draws(
    gp: TreeGP, x: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    mean, cov = gp.joint(x)
    values, vectors = np.linalg.eigh(cov)
    z = rng.standard_normal((N_DRAWS, len(mean)))
    return np.asarray(mean + z @ (vectors * np.sqrt(np.maximum(values, 0.0))).T)


def _misranked(
    draws: NDArray[np.float64], against: NDArray[np.float64] | None, y: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return for each draw how many pairs it orders unlike `y`.

    Args:
        draws: `(s, n)` predictions.
        against: `(n,)` values that each is compared with, or `None` for the draw itself: a
            model that has not seen a trial is compared with the others' true values.
        y: `(n,)` true values.
    """
    other = draws if against is None else np.broadcast_to(against, draws.shape)
    is_less = draws[:, :, None] < other[:, None, :]
    wrong = is_less != (y[:, None] < y[None, :])
    wrong[:, np.arange(len(y)), np.arange(len(y))] = False
    return np.asarray(wrong.sum(axis=(1, 2)))
