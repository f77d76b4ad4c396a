"""`evolution`: a genetic algorithm on the tree whose operators compete for trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from tunekit.checks import check_whole
from tunekit.errors import InvalidArgument
from tunekit.records import Proposal
from tunekit.samplers.base import StudyView, at_target, held, known_points, repaired, samples
from tunekit.samplers.evolutionary.arrivals import Arrivals
from tunekit.samplers.evolutionary.cmaes import sampled
from tunekit.samplers.evolutionary.cmaes_restarts import optimiser
from tunekit.samplers.evolutionary.population import Algorithm, Individual, Population
from tunekit.samplers.evolutionary.variation import Breeding
from tunekit.samplers.proxy import CANDIDATES, Proxy, Screen
from tunekit.samplers.random_streams import stream
from tunekit.spaces import Params, Scalar

TRIES = 30
"""Children that may be invalid or duplicates before random points are drawn."""

FLOOR = 0.06
"""Minimum share of the trials of each operator."""

P_PRIOR = 0.03
"""Share of random points among the trials."""

P_CMA = 0.65
"""Share of CMA-ES among the trials if the whole population has one structure."""

P_CMA_FLAT = 0.85
"""The same in a space of only numbers, which has no structure to cross."""

P_BRANCH = 0.25
"""Probability that the parent is the best of a random branch, not a tournament winner."""

TOP = 0.2
"""The best share of the population, towards which a differential step moves."""


class EvolutionSampler:
    """Proposes children of a population by crossover, mutation, differential and CMA-ES steps.

    The first trial is the default configuration, the next `start` are random points. Then one
    operator makes each trial, chosen by the success of its recent children: crossover along the
    tree, mutation along the tree, a differential evolution step on the numbers, or (with one
    objective) a CMA-ES sample in a good structure. Step widths follow the steps that led to
    improvements. Invalid and duplicate children are replaced.

    Args:
        algorithm: `"ga"` keeps the best trials as parents, `"regularised"` the latest (ageing),
            which forgets lucky results of a noisy objective. With several objectives both rank
            by non-domination and crowding.
        population: population size; by default 30, or 100 with ageing.
        tournament: number of members that compete to become a parent.
        start: number of random points before the first child.
        proxy: cheap function that screens children before one is run; see `ProxySampler`.
        candidates: number of children that the proxy screens per trial; 8 by default.
        bounds: bounds on the values the proxy returns.

    Raises:
        InvalidArgument: an option lies outside its range.
        MissingExtra: the package `cmaes` is not installed.

    Reference:
        E. Real et al., Regularized Evolution for Image Classifier Architecture Search, 2019
        (ageing, tournaments). K. Deb et al., NSGA-II, 2002. R. Tanabe, A. Fukunaga,
        Success-History Based Parameter Adaptation for Differential Evolution, 2013.
    """

    name = "evolution"
    may_end = False

    def __init__(
        self,
        *,
        algorithm: Algorithm = "ga",
        population: int | None = None,
        tournament: int = 3,
        start: int = 20,
        proxy: Proxy | str | None = None,
        candidates: int | None = None,
        bounds: Sequence[str] = (),
    ) -> None:
        if algorithm not in get_args(Algorithm):
            raise InvalidArgument(
                f'evolution: algorithm={algorithm!r}, expected "ga" or "regularised".'
            )
        size = population if population is not None else {"ga": 30, "regularised": 100}[algorithm]
        check_whole(size, f"{self.name}: population", low=4)
        check_whole(tournament, f"{self.name}: tournament", low=1)
        check_whole(start, f"{self.name}: start", low=4)
        self._screen = screen(proxy, candidates, bounds)
        optimiser()
        self._tournament = tournament
        self._start = start
        self._arrivals = Arrivals(lambda view: Population(view, algorithm=algorithm, size=size))

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number.

        A proposal repeats a known trial only if no untried point is found.

        Raises:
            InvalidSpace: no point satisfies the constraints of the space.
        """
        if self._screen is None:
            return self._children(view, numbers)
        return [self._screen.propose(self._children, view, number) for number in numbers]

    def _children(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        population = self._arrivals.state(view)
        asked = set(numbers)
        running = (t for t in view.history.pending() if t.number not in asked)
        taken = {tuple((t.params or {}).items()) for t in running}
        proposals = []
        for number in numbers:
            proposal = self._propose(view, number, population, taken)
            taken.add(tuple(proposal.params.items()))
            proposals.append(proposal)
        return proposals

    def _propose(
        self,
        view: StudyView,
        number: int,
        population: Population,
        taken: set[tuple[tuple[str, Scalar], ...]],
    ) -> Proposal:
        fixed = held(view, number)
        if number == 0 and not fixed and not view.space.violated(point := view.space.default()):
            return Proposal(point, self.name, "the default configuration")
        rng, fixed = stream(view.seed, number), at_target(view.space, fixed)
        parents = _Parents(population, rng, self._tournament, fixed)
        is_start = population.n_told < self._start or len(population.living) < 4
        is_random = is_start or number <= self._start or rng.random() < P_PRIOR
        drawn = samples(view.space, rng, fixed, known=known_points(view), n=TRIES)
        for i in range(2 * TRIES):
            if is_random or i >= TRIES:
                child = next(drawn)
                reason = "a random point"
                evidence: Mapping[str, Any] = {"arm": "prior"}
            else:
                child, evidence, reason = parents.child(chosen_arm(population, rng))
                if view.space.violated(child):
                    child = repaired(view.space, child, rng, fixed) or child
                    reason += ", repaired to satisfy the constraints"
            key = tuple(child.items())
            if not view.space.violated(child) and not (key in taken or key in population.keys):
                return Proposal(child, self.name, reason, evidence)
        reason = f"a random point: {2 * TRIES} others were invalid or known"
        return Proposal(next(drawn), self.name, reason)


Arm: TypeAlias = Literal["cross", "mutate", "step", "cma"]
Child: TypeAlias = tuple[Params, Mapping[str, Any], str]
"""A point, its evidence (the operator, the parent, the step widths) and its reason."""


def screen(
    proxy: Proxy | str | None, candidates: int | None, bounds: Sequence[str]
) -> Screen | None:
    """Return the screen of a proxy, `None` without a proxy.

    Raises:
        InvalidArgument: an option of the screen is given without a proxy, or lies outside its
            range.
    """
    if proxy is not None:
        n = CANDIDATES if candidates is None else candidates
        return Screen(proxy, candidates=n, bounds=bounds)
    for name, value in (("candidates", candidates), ("bounds", bounds)):
        if value not in (None, (), []):
            raise InvalidArgument(f"evolution: {name}={value!r} needs a proxy; give proxy=.")
    return None


def chosen_arm(population: Population, rng: np.random.Generator) -> Arm:
    """Return a random operator, with a probability that grows with its reward.

    CMA-ES pays off late, once it has learnt the shape of the landscape. It therefore has its own
    share of the trials, as far as the population agrees on everything but the numbers.
    """
    arms: list[Arm] = ["cross", "mutate", "step"]
    if population.is_single:
        share = P_CMA_FLAT if population.is_flat else P_CMA
        if rng.random() < share * population.settled:
            return "cma"
        arms.append("cma")
    rewards = population.arm_rewards()
    weights = np.array([rewards.get(arm, 0.5) for arm in arms]) ** 2
    shares = FLOOR + (1 - FLOOR * len(arms)) * weights / weights.sum()
    return arms[int(rng.choice(len(arms), p=shares))]


class _Parents:
    """Applies the operators to the population, for one trial."""

    def __init__(
        self,
        population: Population,
        rng: np.random.Generator,
        tournament: int,
        fixed: Params | None,
    ) -> None:
        self._population, self._rng, self._tournament = population, rng, tournament
        self._living = population.living
        self._fixed = fixed
        self._branches = list(population.best_in.values())
        self._breeding = Breeding(population.structure, self._best_in, rng, fixed)

    def child(self, arm: Arm) -> Child:
        """Return a child made by an operator."""
        operators: Mapping[Arm, Callable[[], Child]] = {
            "cross": self._cross,
            "mutate": self._mutate,
            "step": self._step,
            "cma": self._cma,
        }
        return operators[arm]()

    def _cross(self) -> Child:
        mother, father = self._winner(), self._winner()
        child = self._breeding.cross(mother.params, father.params)
        if self._rng.random() < 0.3:
            child = self._breeding.mutate(child, self._width("cross", "scale", 0.1))
        reason = f"the subtrees of trials {mother.number} and {father.number} crossed"
        return child, {"arm": "cross", "parent": mother.number}, reason

    def _mutate(self) -> Child:
        parent = self._winner()
        scale = self._width("mutate", "scale", 0.1)
        child = self._breeding.mutate(parent.params, scale)
        evidence = {"arm": "mutate", "parent": parent.number, "dials": {"scale": scale}}
        return child, evidence, f"a mutation of trial {parent.number} at scale {scale:.2g}"

    def _step(self) -> Child:
        parent = self._winner()
        n_top = max(2, round(TOP * len(self._living)))
        best = self._living[int(self._rng.integers(n_top))]
        one, two = self._rng.choice(len(self._living), size=2, replace=False)
        weight = min(1.2, self._width("step", "weight", 0.6, spread=0.3))
        rate = min(1.0, self._width("step", "rate", 0.8, spread=0.2))
        child = self._breeding.step(
            parent.params,
            best.params,
            pair=(self._living[one].params, self._living[two].params),
            weight=weight,
            rate=rate,
        )
        dials = {"weight": weight, "rate": rate}
        evidence = {"arm": "step", "parent": parent.number, "dials": dials}
        return child, evidence, f"trial {parent.number} moved towards trial {best.number}"

    def _cma(self) -> Child:
        parent = self._winner()
        point = self._breeding.repair(parent.params, {})
        assert self._population.cma is not None
        runs = self._population.cma.runs(point)
        if runs is None:
            return self._mutate()
        child, drawn = sampled(point, runs, self._rng, self._fixed)
        evidence = {"arm": "cma", "parent": parent.number, **drawn}
        return child, evidence, f"CMA-ES in the structure of trial {parent.number}"

    def _best_in(self, branch: tuple[str, Scalar]) -> Params | None:
        best = self._population.best_in.get(branch)
        return None if best is None else best.params

    def _winner(self) -> Individual:
        """Return a tournament winner, or with `P_BRANCH` the best of a random branch.

        A branch is judged by its best member, which must therefore breed even after it has left
        the population: a good branch with untuned numbers looks worse than a tuned one.
        """
        if self._branches and self._rng.random() < P_BRANCH:
            return self._branches[int(self._rng.integers(len(self._branches)))]
        drawn = self._rng.integers(len(self._living), size=self._tournament)
        return self._living[int(drawn.min())]  # the population is sorted by merit

    def _width(self, arm: str, dial: str, default: float, *, spread: float = 0.8) -> float:
        mean = self._population.dial(arm, dial, default)
        return mean * float(np.exp(spread * self._rng.standard_normal()))
