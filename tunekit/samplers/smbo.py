"""`smbo`: DeepArchitect's model-based search, a ridge regression on sequences of choices.

It serves as a baseline, in both published forms: hashed features (2019) and n-grams (2017).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from tunekit.checks import check_number, check_whole
from tunekit.errors import InvalidArgument
from tunekit.records import Proposal
from tunekit.samplers.base import StudyView, held, known_points, sample, samples
from tunekit.samplers.mcts.paths import default_point
from tunekit.samplers.mcts.scores import scored_trials
from tunekit.samplers.random_streams import stream
from tunekit.samplers.smbo_features import frequent_grams, gram_rows, grams, hashed
from tunekit.spaces import Params, Scalar, Space

Form: TypeAlias = Literal["hashed", "ngrams"]
Predict: TypeAlias = Callable[[Sequence[Params]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Published:
    """Settings of one published form."""

    ridge: float
    n_candidates: int
    exploration: float


PUBLISHED: dict[Form, Published] = {
    "hashed": Published(ridge=1e-5, n_candidates=512, exploration=0.1),
    "ngrams": Published(ridge=1e3, n_candidates=50, exploration=0.25),
}


class DeepArchitectSmbo:
    """Proposes the random point with the best prediction of a ridge regression.

    Args:
        form: "hashed" (2019: choices, pairs of choices and values in 2048 buckets) or "ngrams"
            (2017: runs of 1 to 4 choices that occur at least 3 times, and the depth).
        ridge: weight of the penalty; this and the next two default to the form's settings.
        n_candidates: number of random points to choose from.
        exploration: share of random points among the trials.
        default_first: whether trial 0 is the default configuration.

    Raises:
        InvalidArgument: an option lies outside its range.

    Reference: Negrinho & Gordon, 2017, "DeepArchitect", section 5.3; the hashed form is that of
    Negrinho et al., 2019, "Towards modular and programmable architecture search".
    """

    name = "smbo"
    may_end = False

    def __init__(
        self,
        *,
        form: Form = "hashed",
        ridge: float | None = None,
        n_candidates: int | None = None,
        exploration: float | None = None,
        default_first: bool = True,
    ) -> None:
        if form not in PUBLISHED:
            raise InvalidArgument(f'smbo: form={form!r}, expected "hashed" or "ngrams".')
        published = PUBLISHED[form]
        self.form = form
        self.ridge = published.ridge if ridge is None else ridge
        self.n_candidates = published.n_candidates if n_candidates is None else n_candidates
        self.exploration = published.exploration if exploration is None else exploration
        self.default_first = default_first
        check_number(self.ridge, "smbo: ridge", low=1e-12)
        check_whole(self.n_candidates, "smbo: n_candidates", low=1)
        check_number(self.exploration, "smbo: exploration", high=1.0, low=0)

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number.

        Raises:
            InvalidSpace: no point was found that satisfies the constraints of the space.
        """
        predict = self._fitted(view)
        taken = {tuple(t.params.items()) for t in view.history if t.params is not None}
        proposals = []
        for number in numbers:
            proposals.append(self._propose(view, number, predict=predict, taken=taken))
            taken.add(tuple(proposals[-1].params.items()))
        return proposals

    def _propose(
        self,
        view: StudyView,
        number: int,
        *,
        predict: Predict | None,
        taken: set[tuple[tuple[str, Scalar], ...]],
    ) -> Proposal:
        point = default_point(view, number) if self.default_first else None
        if point is not None:
            return Proposal(point, self.name, "the default configuration comes first")
        rng, fixed = stream(view.seed, number), held(view, number)
        if predict is None or rng.random() < self.exploration:
            point = sample(view.space, rng, fixed, known=known_points(view))
            return Proposal(point, self.name, "a random point")
        draws = samples(view.space, rng, fixed, known=known_points(view), n=self.n_candidates)
        drawn = list(islice(draws, self.n_candidates))
        new = [p for p in drawn if tuple(p.items()) not in taken] or drawn
        scores = predict(new)
        best = int(np.argmax(scores))
        why = f"predicted the best of {len(new)} random points, score {scores[best]:.2f}"
        return Proposal(new[best], self.name, why, {"predicted": float(scores[best])})

    def _fitted(self, view: StudyView) -> Predict | None:
        """Return the model of the scores, `None` if no trial has a score."""
        trials, scores = scored_trials(view.history)
        known = [
            (t.params, s)
            for t, s in zip(trials, scores.tolist(), strict=True)
            if t.params is not None and not np.isnan(s)
        ]
        if not known:
            return None
        points, y = [p for p, _ in known], np.array([s for _, s in known])
        encode = self._encoder(view.space, points)
        x = encode(points)
        weights, intercept = ridge_regression(x, y, self.ridge)
        return lambda new: encode(new) @ weights + intercept

    def _encoder(self, space: Space, points: Sequence[Params]) -> Predict:
        if self.form == "hashed":
            return lambda new: hashed(new, space)
        vocabulary = frequent_grams([grams(space, p) for p in points])
        return lambda new: gram_rows([grams(space, p) for p in new], vocabulary)


def ridge_regression(
    x: NDArray[np.float64], y: NDArray[np.float64], penalty: float
) -> tuple[NDArray[np.float64], float]:
    """Return `(d,)` weights and the unpenalised intercept for `(n, d)` rows and `(n,)` values.

    Constant features have weight 0. The rest is solved in the smaller of the primal form
    `(X'X + penalty I) w = X'y` and the dual form `w = X'(XX' + penalty I)^-1 y`, because either
    features or trials may be more numerous.
    """
    varies = (x != x[:1]).any(axis=0)
    center, mean = x[:, varies].mean(axis=0), float(y.mean())
    z, t = x[:, varies] - center, y - mean
    n, d = z.shape
    if n <= d:
        found = z.T @ cho_solve(cho_factor(z @ z.T + penalty * np.eye(n)), t)
    else:
        found = cho_solve(cho_factor(z.T @ z + penalty * np.eye(d)), z.T @ t)
    weights = np.zeros(x.shape[1])
    weights[varies] = found
    return weights, mean - float(center @ found)
