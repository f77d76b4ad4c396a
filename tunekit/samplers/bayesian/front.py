"""Models a study with several objectives: one process each, and the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunekit.records import TrialRecord
from tunekit.samplers.base import StudyView
from tunekit.samplers.bayesian.beyond import NEGLIGIBLE_GROWTH, doubting
from tunekit.samplers.bayesian.chebyshev import ChebyshevImprovement, chebyshev
from tunekit.samplers.bayesian.fantasies import Drawn
from tunekit.samplers.bayesian.feasibility import (
    ConditionModel,
    FeasibleImprovement,
    LogFactor,
    cautious,
    conditions,
    feasible_evidence,
    log_feasible,
)
from tunekit.samplers.bayesian.fidelity import may_win, misled, priors_of
from tunekit.samplers.bayesian.fitting import (
    extended,
    fitted_part,
    key_of,
    parameters_evidence,
    stored_parameters,
)
from tunekit.samplers.bayesian.hypervolume_improvement import HypervolumeImprovement
from tunekit.samplers.bayesian.kernel_choice import kernels_of
from tunekit.samplers.bayesian.pieces import KnownPieces, pieces_of
from tunekit.samplers.bayesian.search import RowScore
from tunekit.samplers.bayesian.training_data import Observed, TrialRows, front_standardised
from tunekit.spaces.encode import Encoder
from tunekit_surrogates.blocks import BlockStructure
from tunekit_surrogates.hypervolume import hypervolume, reference_point
from tunekit_surrogates.non_domination import layers, non_dominated
from tunekit_surrogates.tree_gp import TreeGP

KERNEL = "blocks"
"""Kernel of the objectives and of the constraints. A wide trend predicts them worse: a search for
a front spreads along it instead of closing in on one point, and few objectives are bowls there."""

MAX_FRONT = 3
"""Maximum objectives for hypervolumes; with more, each proposal draws a random weighting."""

N_DRAWS = {2: 16, 3: 8}
"""Draws of uncertain values by number of objectives, with which the boxes grow fast."""

NOISY = 0.02  # noise share of the variance above which values of the front count as uncertain

N_UNCERTAIN = 10

N_GOOD = 8


@dataclass(frozen=True, slots=True)
class FrontModel:
    """The processes of the objectives and the trials that count; at least one is feasible.

    Attributes:
        y: `(n, m)` standardised losses.
        order: `(n,)` trials by non-domination rank, feasible ones first.
    """

    encoder: Encoder
    structure: BlockStructure
    data: Observed
    y: NDArray[np.float64]
    order: NDArray[np.int64]
    gps: list[TreeGP]
    feasible: list[ConditionModel]
    prior: LogFactor | None = None
    pieces: KnownPieces | None = None

    @property
    def negligible(self) -> float:
        """Return the log of a growth of the front that is not worth a trial.

        It is `-inf` without constraints, because a front still fills by small steps where no
        island can be hidden; with priors or a fidelity; and for more objectives than hypervolumes
        serve.
        """
        y = self.y[self.data.feasible]
        may_hide = any(not f.is_label for f in self.feasible) and y.shape[1] <= MAX_FRONT
        if not may_hide or self.prior is not None or self.data.fidelity is not None:
            return -math.inf
        return math.log(NEGLIGIBLE_GROWTH * hypervolume(y[non_dominated(y)], reference_point(y)))

    def doubting(self) -> FrontModel:
        """Return a model that is sure only near its data; see `beyond`."""
        feasible = [f.doubting() for f in self.feasible]
        return replace(self, gps=[doubting(gp) for gp in self.gps], feasible=feasible)

    @property
    def good(self) -> NDArray[np.float64]:
        """Return `(k, d)` rows to search around: the front, and more if it is small."""
        n_front = int(non_dominated(self.y[self.data.feasible]).sum())
        n = max(N_GOOD, min(4 * N_GOOD, n_front))
        return np.asarray(self.data.x[self.order[:n]])

    def score(self, pending: NDArray[np.float64], rng: np.random.Generator) -> RowScore:
        """Return a score of rows, given the `(p, d)` pending ones."""
        x, y = self._countable()
        noisy = np.array([np.exp(gp.parameters.noise) > NOISY for gp in self.gps])
        front = np.flatnonzero(non_dominated(y))[: N_UNCERTAIN if noisy.any() else 0]
        uncertain = np.concatenate([x[front], pending])
        n_draws = N_DRAWS.get(y.shape[1], min(N_DRAWS.values()))
        drawn = [Drawn.of(gp, uncertain, rng, n_draws) for gp in self.gps]
        values = _in_each_draw(y, drawn, front, noisy)
        likely = log_feasible(self.feasible, pending) > np.log(0.5)
        likely &= may_win(self.encoder, pending)
        values = values[:, np.concatenate([np.ones(len(y), dtype=bool), likely])]
        extra = [term for term in (self.prior, self.pieces) if term is not None]
        terms: list[LogFactor] = [*cautious(self.feasible), *extra]
        return FeasibleImprovement(_improvement(drawn, values, y, rng), terms)

    def explained(self, row: NDArray[np.float64], value: float) -> tuple[dict[str, Any], str]:
        """Return the evidence for a `(d,)` row, and its explanation."""
        key = key_of(self.structure, KERNEL)
        found = [gp.predict(row[None]) for gp in self.gps]
        evidence: dict[str, Any] = {
            "objectives": [parameters_evidence(gp, key) for gp in self.gps],
            "log_improvement": round(value, 4),
            "mean": [round(float(mean[0]), 4) for mean, _ in found],
            "sd": [round(float(np.sqrt(var[0])), 4) for _, var in found],
        }
        if self.feasible:
            evidence["feasible"] = feasible_evidence(self.feasible, row)
        if self.pieces is not None:
            evidence["new_piece"] = self.pieces.probability(row)
        n, m = self.y.shape
        what = "growth of the front" if m <= MAX_FRONT else "improvement of a random weighting"
        return evidence, f"{m} models of {n} trials expect the most {what} here"

    def _countable(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the feasible `(n, d)` rows and `(n, m)` values, smoothed for noisy objectives."""
        feasible = self.data.feasible
        x, y = self.data.x[feasible], self.y[feasible].copy()
        for j, gp in enumerate(self.gps):
            if np.exp(gp.parameters.noise) > NOISY:
                y[:, j] = gp.predict(x)[0]
        return x, y


def front_model(view: StudyView, data: Observed, rows: TrialRows) -> FrontModel:
    """Return the model of a study with several objectives."""
    structure = kernels_of(rows.encoder)[KERNEL]
    y = front_standardised(data)
    priors, gps = priors_of(data.fidelity), []
    for j, losses in enumerate(y.T):
        warm = _warm_start(data.trials, structure, j)
        part, _ = fitted_part(structure, data.x, losses, warm=warm, priors=priors)
        gps.append(extended(part, data.x, losses))
    fidelity = data.fidelity
    if fidelity is not None and any(misled(fidelity, gp) for gp in gps):
        return front_model(view, data.full_runs(), rows)
    order = np.lexsort((layers(y), ~data.feasible))
    found = conditions(view, structure, data, rows)
    pieces = pieces_of(rows.encoder, data)
    return FrontModel(rows.encoder, structure, data, y, order, gps, found, pieces=pieces)


def _warm_start(
    trials: Sequence[TrialRecord], structure: BlockStructure, j: int
) -> NDArray[np.float64] | None:
    for trial in reversed(trials):
        stored = trial.evidence.get("objectives", [])
        if j < len(stored):
            return stored_parameters(stored[j], structure, key_of(structure, KERNEL))
    return None


def _in_each_draw(
    y: NDArray[np.float64],
    drawn: Sequence[Drawn],
    front: NDArray[np.int64],
    noisy: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return `(k, n + p, m)` values in each draw: the trials, then the pending rows."""
    k, n_front = len(drawn[0].values), len(front)
    n_pending = drawn[0].at_uncertain.shape[1] - n_front
    out = np.empty((k, len(y) + n_pending, y.shape[1]))
    out[:, : len(y)] = y
    for j, process in enumerate(drawn):
        if noisy[j]:
            out[:, front, j] = process.at_uncertain[:, :n_front]
        out[:, len(y) :, j] = process.at_uncertain[:, n_front:]
    return out


def _improvement(
    drawn: Sequence[Drawn],
    values: NDArray[np.float64],
    y: NDArray[np.float64],
    rng: np.random.Generator,
) -> RowScore:
    if y.shape[1] <= MAX_FRONT:
        return HypervolumeImprovement(drawn, values, reference_point(y))
    # Random weights on the simplex, in units of the front's ranges, measured from its best values.
    weights = np.maximum(rng.dirichlet(np.ones(y.shape[1])), 1e-3)
    front = y[non_dominated(y)]
    ideal, spread = front.min(axis=0), np.ptp(front, axis=0)
    weights = weights / np.where(spread > 0, spread, 1.0)
    best = chebyshev(values - ideal, weights).min(axis=1)
    return ChebyshevImprovement(drawn, best, weights=weights, ideal=ideal)
