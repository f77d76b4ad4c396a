"""`evolution`: a genetic algorithm on the tree whose operators compete for the trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from tunekit.errors import InvalidArgument
from tunekit.random_streams import stream
from tunekit.records import Proposal
from tunekit.samplers.base import StudyView, at_target, held, known_points, repaired, sample
from tunekit.samplers.evolutionary.arrivals import Arrivals
from tunekit.samplers.evolutionary.cmaes import check_count, sampled
from tunekit.samplers.evolutionary.cmaes_restarts import optimiser
from tunekit.samplers.evolutionary.population import Algorithm, Member, Population
from tunekit.samplers.evolutionary.variation import Breeding
from tunekit.samplers.proxy import CANDIDATES, Proxy, Screen
from tunekit.spaces import Params, Scalar

TRIES = 30
"""Children that may be invalid or twins of a known trial before random points are drawn."""

FLOOR = 0.06
"""Least share of the trials that each operator gets."""

P_PRIOR = 0.03
"""Share of the trials that are random points."""

P_CMA = 0.65
"""Share of the trials that CMA-ES gets where all the living have one structure."""

P_CMA_FLAT = 0.85
"""The same in a space of numbers alone, where there is no structure to breed."""

P_BRANCH = 0.25
"""How often a parent is the best in a random branch rather than the winner of a tournament."""

TOP = 0.2
"""The best share of the living, towards which a differential step goes."""


class EvolutionSampler:
    """Proposes children of the living: crossover, mutation, differential and CMA-ES steps.

    The first trial is the default configuration, the next `start` are random points. Then each
    trial is made by one operator, chosen by how well its last children did: crossover along
    the tree, mutation along the tree, a step of differential evolution on the numbers, or (with
    one objective) a sample of the CMA-ES of a good structure. Step widths follow what has led
    to improvements. Children that are invalid or have been tried are made again.

    Args:
        algorithm: `"ga"` keeps the best trials as parents, `"regularised"` the last (ageing),
            which forgets lucky results of a noisy objective. Of several objectives both rank by
            non-domination and crowding.
        population: how many live; 30, and 100 with ageing, by default.
        tournament: how many of the living compete to become a parent.
        start: random points before the first child.
        proxy: a cheap function that screens the children before one is run; see `ProxySampler`.
        candidates: how many children it screens for each trial; 8 by default.
        bounds: bounds on what it returns.

    Raises:
        InvalidArgument: an option outside its range.
        MissingExtra: the package `cmaes` is not installed.

    Reference:
        E. Real et al., Regularized Evolution for Image Classifier Architecture Search, 2019
        (ageing, tournaments). K. Deb et al., NSGA-II, 2002. R. Tanabe, A. Fukunaga,
        Success-History Based Parameter Adaptation for Differential Evolution, 2013.
    """

    name = "evolution"

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
        check_count(self.name, "population", size, least=4)
        check_count(self.name, "tournament", tournament, least=1)
        check_count(self.name, "start", start, least=4)
        self._screen = screen(proxy, candidates, bounds)
        optimiser()
        self._tournament = tournament
        self._start = start
        self._arrivals = Arrivals(lambda view: Population(view, algorithm=algorithm, size=size))

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number.

        None repeats a known trial while there are points that were not tried and are found.

        Raises:
            InvalidSpace: no point was found that satisfies the constraints of the space.
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
        for i in range(2 * TRIES):
            if is_random or i >= TRIES:
                child = sample(view.space, rng, fixed, known=known_points(view))
                reason = "a random point"
                evidence: Mapping[str, Any] = {"arm": "prior"}
            else:
                child, evidence, reason = parents.child(chosen_arm(population, rng))
                if view.space.violated(child):
                    child = repaired(view.space, child, rng, fixed) or child
                    reason += ", changed as far as the constraints need it"
            key = tuple(child.items())
            if not view.space.violated(child) and not (key in taken or key in population.keys):
                return Proposal(child, self.name, reason, evidence)
        reason = f"a random point: {2 * TRIES} others were invalid or known"
        point = sample(view.space, rng, fixed, known=known_points(view))
        return Proposal(point, self.name, reason)


Arm: TypeAlias = Literal["cross", "mutate", "step", "cma"]
Child: TypeAlias = tuple[Params, Mapping[str, Any], str]
"""A point, its evidence (the operator, the parent, the step widths) and its reason."""


def screen(
    proxy: Proxy | str | None, candidates: int | None, bounds: Sequence[str]
) -> Screen | None:
    """Return the screen of a proxy, if there is one.

    Raises:
        InvalidArgument: options of a screen without a proxy, or outside their range.
    """
    if proxy is not None:
        n = CANDIDATES if candidates is None else candidates
        return Screen(proxy, candidates=n, bounds=bounds)
    for name, value in (("candidates", candidates), ("bounds", bounds)):
        if value not in (None, (), []):
            raise InvalidArgument(f"evolution: {name}={value!r} without a proxy; give proxy=.")
    return None


def chosen_arm(population: Population, rng: np.random.Generator) -> Arm:
    """Return an operator, with a chance that grows with its reward.

    CMA-ES pays late, after it has learnt the shape of the landscape, so it has a share of its
    own in the trials as far as the living agree on everything but the numbers.
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
    """The operators on the living, for one trial."""

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
        """Return a child that an operator makes."""
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

    def _winner(self) -> Member:
        """Return the winner of a tournament, or now and then the best in some branch.

        A branch is judged by its best, so that has to be bred too where it is not among the
        living: a good branch whose numbers are not set yet looks worse than a settled one.
        """
        if self._branches and self._rng.random() < P_BRANCH:
            return self._branches[int(self._rng.integers(len(self._branches)))]
        drawn = self._rng.integers(len(self._living), size=self._tournament)
        return self._living[int(drawn.min())]  # the living stand in order of merit

    def _width(self, arm: str, dial: str, default: float, *, spread: float = 0.8) -> float:
        mean = self._population.dial(arm, dial, default)
        return mean * float(np.exp(spread * self._rng.standard_normal()))
