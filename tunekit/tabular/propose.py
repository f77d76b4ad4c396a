"""`tunekit.offline`: proposes points from recorded results alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from tunekit.checks import is_number, is_whole
from tunekit.errors import InvalidArgument
from tunekit.noise.replicates import key_of
from tunekit.records import Direction, Proposal
from tunekit.samplers.random_streams import stream
from tunekit.samplers.threads import one_thread
from tunekit.spaces import Params, Space
from tunekit.spaces.encode import Encoder
from tunekit.tabular import models
from tunekit.tabular.ascent import climb, mutated
from tunekit.tabular.features import Features
from tunekit.tabular.models import LossModel
from tunekit.tabular.risk import Risk, outside
from tunekit.tabular.table import Data, RecordedPoints, read
from tunekit_surrogates.density import Density

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Kind: TypeAlias = Literal["auto", "gp", "ignite"]

N_STARTS = 64
"""Number of best rows to start the search from."""

N_MUTATED = 192

SHARES = (0.5, 0.9, 0.98)
"""Shares of the rows whose nearest others are as close as a proposal has to be to its own: the
search is made within each of these bounds, for proposals of different risk."""


def offline(
    data: Data,
    space: Space | None = None,
    *,
    objective: str | Mapping[str, Direction] | None = None,
    n: int = 8,
    model: Kind = "auto",
    caution: float = 1.0,
    seed: int = 0,
) -> list[Proposal]:
    """Return points that are predicted to beat the best of a fixed table, best first.

    Nothing is run. The search climbs a model of the table from its best rows, by cautious
    predictions and near the data. `evidence["risk"]` of each proposal holds its risk ("low",
    "medium" or "high") and the underlying numbers; the proposals cover different risks on
    purpose. Try one with `study.enqueue_trial(proposal.params)`.

    Args:
        data: a DataFrame, a list of mappings (one a row), or a study. Columns are named by the
            parameters, with or without `params.` in front; an empty cell (NaN, `None`) is an
            inactive parameter.
        space: space of the parameters; by default the study's own.
        objective: the column of the result, as `"error"` (less is better) or
            `{"accuracy": "maximize"}`; "value", or the study's own, where it is not given.
        n: number of proposals, 1 or more; fewer are returned if no more are found.
        model: "gp" is a Gaussian process, "ignite" an ensemble of networks with bounded
            sharpness; "auto" uses the process below 500 rows.
        caution: number of standard deviations by which predictions are worsened; 0 or more.
        seed: seed of the search and the networks.

    Raises:
        InvalidArgument: the data have fewer than 10 different points, lack a column or contain a
            non-finite result, or an argument lies outside its range.
        InvalidParams: a row has a value outside the space.
        MissingExtra: `model` is "ignite" and PyTorch is not installed.

    Reference: Dao, Nguyen, Doppa and Hoang, 2024, "Incorporating surrogate gradient norm to
    improve offline optimization techniques", arXiv 2503.04242.
    """
    _check(n, model, caution, seed)
    table = read(data, space, objective)
    encoder = Encoder(table.space)
    rows = encoder.encode(table.points)
    kind = model if model != "auto" else "gp" if len(rows) < models.FEW else "ignite"
    with one_thread():
        fitted = (
            models.gaussian_process(rows, table.losses, encoder)
            if kind == "gp"
            else models.networks(rows, table.losses, encoder, seed=seed)
        )
        search = _Search(table, encoder, rows, fitted, caution)
        return search.best(search.candidates(stream(seed, 0)), n)


@dataclass(eq=False)
class _Search:
    """Searches one table with one model."""

    table: RecordedPoints
    encoder: Encoder
    rows: Floats
    model: LossModel
    caution: float

    def __post_init__(self) -> None:
        self.features = Features(self.encoder)
        self.density = Density(self.features.of(self.rows))

    def distance(self, x: Floats) -> Floats:
        return self.density.distance(self.features.of(x))

    def candidates(self, rng: np.random.Generator) -> list[Params]:
        """Return valid points outside the table and within the bound, unordered."""
        order = np.argsort(self.table.losses, kind="stable")[:N_STARTS]
        best = [self.table.points[i] for i in order]
        starts = [*best, *mutated(self.table.space, best, rng, n=N_MUTATED)]
        x = self.encoder.encode(starts)
        found: list[Params] = []
        for share in SHARES:
            limit = self.density.limit(share)
            inside = x[self.distance(x) <= limit]
            if len(inside):
                limits = np.full(len(inside), limit)
                found += self.encoder.decode(self._climb(inside, limits))
        known = {key_of(point) for point in self.table.points}
        fresh = {key_of(p): p for p in found if not self.table.space.violated(p)}
        return [point for key, point in fresh.items() if key not in known]

    def _climb(self, x: Floats, limits: Floats) -> Floats:
        return climb(self.model, x, caution=self.caution, distance=self.distance, limits=limits)

    def best(self, points: Sequence[Params], n: int) -> list[Proposal]:
        """Return the `n` best distinct points as proposals."""
        if not points:
            return []
        x = self.encoder.encode(points)
        mean, sd = self.model.predict(x)
        place = self.features.of(x)
        apart = self.density.limit(0.5) / 2
        order = np.argsort(mean + self.caution * sd, kind="stable").tolist()
        picked: list[int] = []
        for i in order:
            near = np.linalg.norm(place[picked] - place[i], axis=1) if picked else np.ones(1)
            if len(picked) < n and np.min(near) >= apart:
                picked.append(i)
        risks = self._risks(x[picked], sd[picked])
        return [
            self._proposal(points[i], float(mean[i]), float(sd[i]), risk)
            for i, risk in zip(picked, risks, strict=True)
        ]

    def _risks(self, x: Floats, sd: Floats) -> list[Risk]:
        distance = self.distance(x)
        rarity = self.density.rank(distance)
        spread = float(np.std(self.table.losses)) or 1.0
        beyond = outside(x, self.rows)
        paths = [column.path for column in self.encoder.columns]
        return [
            Risk(
                float(distance[i]),
                float(rarity[i]),
                float(sd[i]) / spread,
                {p: float(v) for p, v in zip(paths, beyond[i], strict=True) if v > 0.0},
            )
            for i in range(len(x))
        ]

    def _proposal(self, point: Params, mean: float, sd: float, risk: Risk) -> Proposal:
        sign = self.table.objective.loss(1.0)
        best = int(np.argmin(self.table.losses))
        evidence = {
            "risk": risk.label,
            "predicted": sign * mean,
            "sd": sd,
            "cautious": sign * (mean + self.caution * sd),
            "best_recorded": sign * float(self.table.losses[best]),
            "best_row": self.table.rows[best],
            "distance": risk.distance,
            "rarity": risk.rarity,
            "uncertainty": risk.uncertainty,
            "outside": risk.outside,
        }
        metric = self.table.objective.metric
        reason = (
            f"offline, {risk.label} risk: {self.model.name} predicts {metric} = {sign * mean:.4g} "
            f"+- {sd:.2g}; the best of {len(self.rows)} recorded points has "
            f"{evidence['best_recorded']:.4g}"
        )
        return Proposal(point, "offline", reason, evidence)


def _check(n: object, model: object, caution: object, seed: object) -> None:
    if not is_whole(n) or n < 1:
        raise InvalidArgument(f"offline: n={n!r}, expected a whole number of 1 or more.")
    if model not in ("auto", "gp", "ignite"):
        raise InvalidArgument(f'offline: model={model!r}, expected "auto", "gp" or "ignite".')
    if not is_number(caution) or not caution >= 0.0:
        raise InvalidArgument(f"offline: caution={caution!r}, expected a number of 0 or more.")
    if not is_whole(seed):
        raise InvalidArgument(f"offline: seed={seed!r}, expected a whole number.")
