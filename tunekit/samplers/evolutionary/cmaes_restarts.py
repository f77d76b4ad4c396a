"""Runs CMA-ES on one structure, with restarts, rebuilt from the ended trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from tunekit.errors import MissingExtra
from tunekit.samplers.evolutionary.axes import NumberAxis
from tunekit.samplers.evolutionary.merit import Merit
from tunekit.samplers.random_streams import stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

Restarts: TypeAlias = Literal["bipop", "ipop", "none"]

N_RESAMPLE = 20
"""Draws outside the box after which a sample is moved to its bounds."""

MIN_SPREAD = 1e-7
"""A run has converged if a generation's standard deviation, in shares of the range, is smaller."""

RESTART_KEY = 1 << 63
"""Added to the number of the trial that ended a run to key the random stream of the next run."""


@dataclass(frozen=True, slots=True)
class CmaSettings:
    """Settings of the runs; see `CmaEsSampler`."""

    sigma: float = 0.3
    population: int | None = None
    restarts: Restarts = "bipop"


class RestartedRuns:
    """Performs successive CMA-ES runs on the numbers of one structure.

    A generation consists of the next `population` trials of the run that end, whichever
    generation sampled them: a slow trial counts when it ends. The optimiser sees only ranks, so
    failed and infeasible trials simply rank last.

    Args:
        start: `(d,)` initial mean.
        cov: `(d, d)` initial covariance, in units of `sigma ** 2`.

    Attributes:
        index: number of the current run, from 0; trials of earlier runs are ignored.

    Reference:
        N. Hansen, The CMA Evolution Strategy: A Tutorial, 2016. R. Hamano et al., CMA-ES with
        Margin, 2022. N. Hansen, Benchmarking a BI-Population CMA-ES on the BBOB-2009 Function
        Testbed, 2009 (restarts).
    """

    def __init__(
        self,
        axes: Sequence[NumberAxis],
        start: NDArray[np.float64],
        *,
        seed: int,
        settings: CmaSettings,
        cov: NDArray[np.float64] | None = None,
    ) -> None:
        self.axes = tuple(axes)
        self.index = 0
        self._seed = seed
        self._settings = settings
        self._steps = np.array([a.step for a in axes])
        self._bounds = np.array([a.bounds for a in axes])
        self._default_population = settings.population or 4 + math.floor(3 * math.log(len(axes)))
        self._large = self._default_population
        self._spent = {"large": 0, "small": 0}
        self._begin(start, sigma=settings.sigma, population=self._large, regime="large", cov=cov)

    def _begin(
        self,
        start: NDArray[np.float64],
        *,
        sigma: float,
        population: int,
        regime: Literal["large", "small"],
        cov: NDArray[np.float64] | None = None,
    ) -> None:
        self._regime = regime
        self._waiting: list[tuple[NDArray[np.float64], Merit]] = []
        self._best: Merit = (9, math.inf, math.inf)
        self._improved = 0
        self._cma = optimiser()(
            mean=np.array(start, dtype=np.float64),
            sigma=sigma,
            bounds=self._bounds,
            steps=self._steps,
            n_max_resampling=N_RESAMPLE,
            seed=0,
            population_size=population,
            cov=cov,
        )

    @property
    def generation(self) -> int:
        """Return the number of completed generations of the current run."""
        return int(self._cma.generation)

    @property
    def population(self) -> int:
        """Return the number of trials per generation of the current run."""
        return int(self._cma.population_size)

    def ask(self, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return `(d,)` coordinates to evaluate, and `(d,)` ones before the margin to tell."""
        self._cma.reseed_rng(int(rng.integers(2**32)))
        evaluate, tell = self._cma.ask()
        return evaluate, tell

    def tell(self, x: NDArray[np.float64], merit: Merit, number: int) -> None:
        """Tell the run a trial's `(d,)` coordinates and merit; restart a converged run."""
        self._waiting.append((x, merit))
        if len(self._waiting) < self.population:
            return
        told = sorted(self._waiting, key=lambda pair: pair[1])
        self._waiting = []
        self._cma.tell([(x, float(rank)) for rank, (x, _) in enumerate(told)])
        self._spent[self._regime] += len(told)
        if told[0][1] < self._best:
            self._best, self._improved = told[0][1], self.generation
        if self._settings.restarts != "none" and self._has_converged(told):
            self._restart(number)

    def _has_converged(self, told: Sequence[tuple[NDArray[np.float64], Merit]]) -> bool:
        """Return whether a run has stalled or shrunk, by its last `(d,)` points with merits."""
        patience = 10 + math.ceil(30 * len(self.axes) / self.population)
        if self.generation - self._improved > patience or self._cma.should_stop():
            return True
        is_line = self._steps == 0.0
        spread = np.std([x for x, _ in told], axis=0)[is_line]
        return bool(is_line.all() and np.all(spread < MIN_SPREAD))

    def _restart(self, number: int) -> None:
        """Start the next run at a random mean: twice as large, or small with its own width."""
        rng = stream(self._seed, number + RESTART_KEY)
        lo, hi = self._bounds.T
        start = lo + rng.random(len(lo)) * (hi - lo)
        self.index += 1
        sigma = self._settings.sigma
        if self._settings.restarts == "bipop" and self._spent["small"] < self._spent["large"]:
            u = rng.random()
            factor = (0.5 * self._large / self._default_population) ** (u**2)
            population = math.floor(self._default_population * max(1.0, factor))
            self._begin(
                start,
                sigma=sigma * 10 ** (-2 * rng.random()),
                population=population,
                regime="small",
            )
            return
        self._large *= 2
        self._begin(start, sigma=sigma, population=self._large, regime="large")


def optimiser() -> Any:
    """Return the class of the optimiser.

    Raises:
        MissingExtra: the package `cmaes` is not installed.
    """
    try:
        from cmaes import CMAwM
    except ImportError:
        raise MissingExtra("evolution", "CMA-ES") from None
    return CMAwM


def noted(evidence: Mapping[str, Any], runs: RestartedRuns) -> NDArray[np.float64] | None:
    """Return the `(d,)` coordinates to tell from a proposal's evidence, if of the current run."""
    x = evidence.get("x")
    if evidence.get("run") != runs.index or not isinstance(x, list) or len(x) != len(runs.axes):
        return None
    if not all(isinstance(v, int | float) and abs(v) < 1e3 for v in x):
        return None
    return np.asarray(x, dtype=np.float64)
