"""Learns from earlier studies: which points to start with, and how to weigh their models.

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

MIN_POINTS = 5  # minimum number of usable points of an earlier study to model it
N_START = 3  # maximum number of earlier winners to try
N_WINNERS = 5  # number of winners of each study to choose from
ENOUGH = 0.02  # minimum decrease of the mean normalised regret to add a further winner

N_DRAWS = 512
N_RANKED = 40  # maximum number of trials whose ranking weighs the models
N_OWN = 10  # number of trials from which the study's own model has a minimum weight


@dataclass(frozen=True, slots=True)
class PastModel:
    """The model of an earlier study over the current space.

    Attributes:
        n_kept: number of its kept trials.
        points: those that fit the current space, best first.
    """

    name: str
    n_kept: int
    points: list[Params]
    gp: TreeGP


def sources_of(
    past: Sequence[PastStudy], encoder: Encoder, structure: BlockStructure
) -> tuple[PastModel, ...]:
    """Return the models of the earlier studies with enough usable points in a space."""
    found = []
    for study in past:
        pairs = study.points(encoder.space)
        y = standardised(np.array([loss for _, loss in pairs])) if pairs else np.zeros(0)
        if len(pairs) < MIN_POINTS or not y.any() or not len(encoder):
            continue
        points = [point for point, _ in pairs]
        gp = fitted(structure, encoder.encode(points), y)
        found.append(PastModel(study.name, len(study.trials), points, gp))
    return tuple(found)


def portfolio(sources: Sequence[PastModel], encoder: Encoder) -> list[Params]:
    """Return complementary winners, each the one that lowers the regret most after the others.

    Each study's model predicts every winner's normalised regret there: 0 is that study's best
    trial, 1 its median.
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
    """Return `(m,)` regrets predicted by a source for `(m, d)` rows: 0 its best, 1 its median."""
    best, middle = float(source.gp.y.min()), float(np.median(source.gp.y))
    return np.clip((source.gp.predict(x)[0] - best) / max(middle - best, 1e-9), 0.0, 1.0)


def rank_weights(
    own: TreeGP, sources: Sequence[TreeGP], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return `(m + 1,)` weights that sum to 1, the last one for the study's own model.

    A model's weight is the share of posterior draws in which it misranks the fewest pairs of the
    study's trials. A model whose median loss exceeds the 95 % quantile of the own model's gets 0.
    From `N_OWN` trials on, the own model weighs at least `1 / (m + 1)`.

    Args:
        own: model of the study, evaluated by leave-one-out predictions.
        sources: models of earlier studies.
        rng: for the draws.
    """
    rows = chosen_rows(own.y, N_RANKED)
    x, y = own.x[rows], own.y[rows]
    losses = [_misranked(_joint_draws(gp, x, rng), None, y) for gp in sources]
    mean, var = own.leave_one_out()
    alone = mean[rows] + np.sqrt(var[rows]) * rng.standard_normal((N_DRAWS, len(rows)))
    losses.append(_misranked(alone, y, y))
    # Keeps many weak models from diluting the weights.
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
    """Return `(N_DRAWS, m)` joint draws of the function at `(m, d)` rows."""
    mean, cov = gp.joint(x)
    # mean + R z with R R^T = cov, from cov = V diag(w) V^T: R = V diag(sqrt w)
    values, vectors = np.linalg.eigh(cov)
    z = rng.standard_normal((N_DRAWS, len(mean)))
    return np.asarray(mean + z @ (vectors * np.sqrt(np.maximum(values, 0.0))).T)


def _misranked(
    draws: NDArray[np.float64], against: NDArray[np.float64] | None, y: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return the `(s,)` numbers of pairs that each draw orders unlike `y`.

    Args:
        draws: `(s, n)` predictions.
        against: `(n,)` values to compare each prediction with, `None` for the draw itself. A
            leave-one-out prediction is compared with the other trials' true values.
        y: `(n,)` true values.
    """
    other = draws if against is None else np.broadcast_to(against, draws.shape)
    is_less = draws[:, :, None] < other[:, None, :]
    wrong = is_less != (y[:, None] < y[None, :])
    wrong[:, np.arange(len(y)), np.arange(len(y))] = False
    return np.asarray(wrong.sum(axis=(1, 2)))
