"""`cmaes`: CMA-ES for the numbers of a tree, elite frequencies for its switches."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from tunekit.checks import check_number, check_whole
from tunekit.errors import InvalidArgument
from tunekit.history import History
from tunekit.records import Proposal, TrialRecord
from tunekit.samplers.base import (
    StudyView,
    at_target,
    held,
    keeping,
    known_points,
    repaired,
    sample,
)
from tunekit.samplers.evolutionary.arrivals import Arrivals
from tunekit.samplers.evolutionary.axes import NumberAxis, Shape, Structure, is_special, specials
from tunekit.samplers.evolutionary.cmaes_restarts import (
    CmaSettings,
    RestartedRuns,
    Restarts,
    noted,
    optimiser,
)
from tunekit.samplers.evolutionary.merit import BROKEN, FEASIBLE, WORST, Merit, merit
from tunekit.samplers.random_streams import stream
from tunekit.spaces import Parameter, Params, Scalar, walk

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_ELITE = 40
TRIES = 50
"""Samples that may violate a constraint before one is moved towards the best point."""

N_WARM = 20
"""Minimum number of other samplers' trials to fit the first distribution of a structure to."""

MAX_WARM_DIM = 50
"""Maximum dimension of that fit, whose determinant underflows beyond it."""


class Knowledge:
    """State of CMA-ES: the elite, and one sequence of runs for every structure seen.

    Each structure has its own distribution, because the best value of a number may differ
    between branches. Only the start is shared: the best known value of every number that the
    structure has in common with others.
    """

    def __init__(self, view: StudyView, settings: CmaSettings) -> None:
        self.structure = Structure(view.space)
        self.n_told = 0
        self.elite: list[tuple[Merit, int, Params]] = []
        self._seed = view.seed
        self._settings = settings
        self._runs: dict[Shape, RestartedRuns] = {}
        self._others: dict[Shape, list[tuple[NDArray[np.float64], Merit]]] = {}
        self._best: dict[str, tuple[Merit, int, float]] = {}

    def tell(self, trial: TrialRecord, history: History) -> None:
        """Add a finished trial to the elite, and to the run that proposed it."""
        params, key = Params(trial.params or {}), merit(trial, history)
        self.n_told += 1
        if key[0] <= FEASIBLE or (key[0] < BROKEN and len(self.elite) < MAX_ELITE):
            insort(self.elite, (key, trial.number, params), key=lambda e: e[:2])
            del self.elite[MAX_ELITE:]
        self.tell_run(params, key, trial.number, trial.evidence)

    def tell_run(
        self, params: Params, key: Merit, number: int, evidence: Mapping[str, Any]
    ) -> None:
        """Add a finished trial to the run that proposed it."""
        axes = self.structure.numbers(params)
        if not axes:
            return
        shape = self.structure.shape(params)
        if "run" in evidence and shape not in self._runs:
            self._runs[shape] = self._first(shape, axes)
        x = noted(evidence, self._runs[shape]) if "run" in evidence else None
        if x is not None:
            self._runs[shape].tell(x, key, number)
        elif shape not in self._runs and key < WORST:
            own = np.array([a.coordinate(params[a.path]) for a in axes])
            self._others.setdefault(shape, []).append((own, key))
        if key < WORST:
            self._note_best(params, axes, key, number)

    def runs(self, params: Params) -> RestartedRuns | None:
        """Return the runs of a point's structure, `None` if it has no numbers."""
        axes = self.structure.numbers(params)
        if not axes:
            return None
        shape = self.structure.shape(params)
        return self._runs.get(shape) or self._first(shape, axes)

    def _first(self, shape: Shape, axes: Sequence[NumberAxis]) -> RestartedRuns:
        others = sorted(self._others.get(shape, []), key=lambda pair: pair[1])
        if max(N_WARM, 4 * len(axes)) <= len(others) and len(axes) <= MAX_WARM_DIM:
            return self._warm(axes, [x for x, _ in others])
        start = [self._best[a.path][2] if a.path in self._best else middle(a) for a in axes]
        return RestartedRuns(axes, np.array(start), seed=self._seed, settings=self._settings)

    def _warm(
        self, axes: Sequence[NumberAxis], best_first: list[NDArray[np.float64]]
    ) -> RestartedRuns:
        """Start from the best of other trials (M. Nomura et al., Warm Starting CMA-ES, 2021)."""
        from cmaes import get_warm_start_mgd

        ranked = [(x, float(rank)) for rank, x in enumerate(best_first)]
        mean, sigma, cov = get_warm_start_mgd(ranked, gamma=max(0.1, 2 / len(ranked)))
        settings = CmaSettings(float(sigma), self._settings.population, self._settings.restarts)
        return RestartedRuns(axes, mean, seed=self._seed, settings=settings, cov=cov)

    def _note_best(
        self, params: Params, axes: Sequence[NumberAxis], key: Merit, number: int
    ) -> None:
        for a in axes:
            if a.path not in self._best or (key, number) < self._best[a.path][:2]:
                self._best[a.path] = (key, number, a.coordinate(params[a.path]))


def middle(axis: NumberAxis) -> float:
    """Return the coordinate of the default, the middle if the default is a special value."""
    default = axis.domain.default_value()
    return 0.5 if is_special(axis.domain, default) else axis.coordinate(default)


class CmaEsSampler:
    """Proposes points by CMA-ES with margin and restarts, for one objective.

    The first trial is the default configuration. Then switches and categoricals take values from
    the elite (the best tenth of the trials), with a floor of uniform draws, and the numbers of
    the resulting structure come from its own CMA-ES. (A single distribution over the union of all
    branches would adapt as slowly as in hundreds of dimensions where ten are active.) Trials of
    other samplers count for the elite and for the first distribution.

    Args:
        sigma: initial standard deviation, as a share of every range, above 0 and up to 1.
        population: trials per generation, at least 4; `4 + floor(3 ln d)` by default.
        restarts: restart scheme of a converged run: `"bipop"`, `"ipop"` or `"none"`.
        floor: share of trials that draw a switch uniformly, in `[0, 1]`.

    Raises:
        InvalidArgument: an option lies outside its range.
        MissingExtra: the package `cmaes` is not installed.

    Reference:
        See `RestartedRuns`; N. Hansen et al., A Method for Handling Uncertainty (ranks), 2009.
    """

    name = "cmaes"
    may_end = False

    def __init__(
        self,
        *,
        sigma: float = 0.3,
        population: int | None = None,
        restarts: Restarts = "bipop",
        floor: float = 0.2,
    ) -> None:
        check_number(sigma, "cmaes: sigma", low=0, high=1, is_open=True)
        check_number(floor, "cmaes: floor", low=0, high=1)
        if population is not None:
            check_whole(population, "cmaes: population", low=4)
        if restarts not in get_args(Restarts):
            raise InvalidArgument(
                f'cmaes: restarts={restarts!r}, expected "bipop", "ipop" or "none".'
            )
        optimiser()
        self._floor = floor
        settings = CmaSettings(float(sigma), population, restarts)
        self._arrivals = Arrivals(lambda view: Knowledge(view, settings))

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number.

        Raises:
            InvalidSpace: no point satisfies the constraints of the space.
            InvalidArgument: the study has several objectives.
        """
        if len(view.objectives) > 1:
            raise InvalidArgument(
                f'sampler "cmaes" handles one objective, but the study has '
                f'{len(view.objectives)}; use "evolution" or "nsgaii".'
            )
        known = self._arrivals.state(view)
        return [self._propose(view, number, known) for number in numbers]

    def _propose(self, view: StudyView, number: int, known: Knowledge) -> Proposal:
        fixed = held(view, number)
        if number == 0 and not fixed and not view.space.violated(point := view.space.default()):
            return Proposal(point, self.name, "the default configuration")
        rng, fixed = stream(view.seed, number), at_target(view.space, fixed)
        for _ in range(TRIES):
            picker = elite_picker(known, rng, floor=self._floor)
            point = walk(view.space, keeping(fixed, picker))
            runs = known.runs(point)
            if runs is None:
                if not view.space.violated(point):
                    return Proposal(point, self.name, "switches by the elite; no numbers")
                continue
            point, evidence = sampled(point, runs, rng, fixed)
            if not view.space.violated(point):
                return Proposal(point, self.name, why(runs), evidence)
        return self._moved(view, point, known, fixed, rng)

    def _moved(
        self,
        view: StudyView,
        outside: Params,
        known: Knowledge,
        fixed: Params | None,
        rng: np.random.Generator,
    ) -> Proposal:
        """Return a valid point between an invalid one and the best of its structure."""
        shape, axes = known.structure.shape(outside), known.structure.numbers(outside)
        alike = (p for _, _, p in known.elite if known.structure.shape(p) == shape)
        inside = next((p for p in alike if all(p[k] == v for k, v in (fixed or {}).items())), None)
        share = 0.5
        while inside is not None and share > 1e-3:
            point = Params(inside)
            for a in axes:
                here, there = a.coordinate(inside[a.path]), a.coordinate(outside[a.path])
                if not fixed or a.path not in fixed:
                    point[a.path] = a.value(here + share * (there - here))
            if (
                point == inside
            ):  # nothing is between them: choices, or an equation of whole numbers
                break
            if not view.space.violated(point):
                reason = "a sample of CMA-ES, moved towards the best until the constraints hold"
                return Proposal(point, self.name, reason)
            share /= 2
        near = repaired(view.space, outside, rng, fixed)
        if near is not None:
            reason = "a sample of CMA-ES, repaired to satisfy the constraints"
            return Proposal(near, self.name, reason)
        reason = f"a random draw: {TRIES} samples of CMA-ES violate a constraint"
        point = sample(view.space, rng, fixed, known=known_points(view))
        return Proposal(point, self.name, reason)


class ElitePicker:
    """Picks every value except numbers from a random elite member, or uniformly."""

    def __init__(self, known: Knowledge, rng: np.random.Generator, explore: float) -> None:
        n = min(MAX_ELITE, max(4, known.n_told // 10))
        self._elite = [params for _, _, params in known.elite[:n]]
        self._lines = known.structure.axes
        self._rng = rng
        self._explore = explore

    def __call__(self, p: Parameter, chosen: Mapping[str, Scalar]) -> Scalar:
        """Return the value of one parameter."""
        if p.path in self._lines and not specials(p):
            return p.domain.default_value()  # stands in until the sample is known
        seen = [e[p.path] for e in self._elite if p.path in e]
        if not seen or self._rng.random() < self._explore:
            return p.domain.from_unit(self._rng.random())
        return seen[int(self._rng.integers(len(seen)))]


def elite_picker(known: Knowledge, rng: np.random.Generator, *, floor: float) -> ElitePicker:
    """Return a picker that first draws always uniformly, later with the share `floor`."""
    if known.n_told < 4 or not known.elite:
        return ElitePicker(known, rng, 1.0)
    # The decisions of a typical point share the floor, so that most trials of a deep tree
    # still repeat a structure known to be good.
    best = known.elite[0][2]
    n_decisions = sum(path not in known.structure.axes for path in best)
    return ElitePicker(known, rng, floor / max(1, n_decisions))


def sampled(
    point: Params,
    runs: RestartedRuns,
    rng: np.random.Generator,
    fixed: Mapping[str, Scalar] | None,
) -> tuple[Params, dict[str, Any]]:
    """Return the point with sampled numbers, and the evidence to tell the result with."""
    evaluate, tell = runs.ask(rng)
    point = Params(point)
    for i, axis in enumerate(runs.axes):
        if fixed and axis.path in fixed:
            tell[i] = axis.coordinate(fixed[axis.path])
        else:
            point[axis.path] = axis.value(float(evaluate[i]))
    return point, {"run": runs.index, "generation": runs.generation, "x": tell.tolist()}


def why(runs: RestartedRuns) -> str:
    """Return the origin of a sample in one sentence."""
    return (
        f"CMA-ES on {len(runs.axes)} numbers: run {runs.index + 1}, "
        f"generation {runs.generation + 1} of {runs.population}"
    )
