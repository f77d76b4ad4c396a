"""Simulated language models of known quality, and the problems that they advise on."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunekit.bench import bbob
from tunekit.bench.problem import Problem
from tunekit.bench.trees import jenatton, models
from tunekit.bench.trees.draw import Recipe, draw_problem, draw_terms
from tunekit.bench.trees.landscape import Landscape, best_point
from tunekit.samplers.base import sample
from tunekit.samplers.random_streams import stream
from tunekit.spaces import (
    Categorical,
    Constant,
    Float,
    Int,
    Parameter,
    Params,
    Scalar,
    Space,
    walk,
)
from tunekit.testing.openai_server import Said

MAX_TRIES = 50
"""Draws of a point until one satisfies the constraints."""


def knobs(rng: np.random.Generator) -> Problem:
    """Return a problem like a server's configuration: many knobs on log scales, few matter."""
    sizes = {f"buffer_{i}": Int(64, 1 << 20, log=True) for i in range(6)}
    limits = {f"limit_{i}": Int(1, 1000, log=True, special=(-1,)) for i in range(3)}
    ratios = {f"ratio_{i}": Float(0.1, 10.0, log=True) for i in range(3)}
    modes = {
        "sync": Categorical(["off", "local", "on"], ordered=True),
        "compress": Categorical(["none", "lz4", "zstd"]),
        "huge_pages": Categorical([False, True]),
    }
    space = Space(sizes | limits | ratios | modes)
    terms = draw_terms(space, rng, Recipe(weight=1.0, shapes=("bowl", "kink", "cliff")))
    return draw_problem(
        "knobs", space, landscape=Landscape(terms, best_point(space, terms), 0.0), rng=rng
    )


PROBLEMS: Mapping[str, Callable[[int], Problem]] = {
    "tree, models": lambda seed: models.instance(np.random.default_rng([seed, 2])),
    "tree, jenatton": lambda seed: jenatton.instance(np.random.default_rng([seed, 0])),
    "flat, 5 numbers": lambda seed: bbob.suite(seed)[2],
    "flat, 8 numbers": lambda seed: bbob.suite(seed)[3],
    "15 knobs": lambda seed: knobs(np.random.default_rng([seed, 9])),
}
"""Name -> function of the seed, which draws another instance."""


def optimum(problem: Problem) -> Params:
    """Return the point of the lowest loss."""
    found: Params = problem.evaluate.optimum  # type: ignore[attr-defined]
    return found


@dataclass(frozen=True, slots=True)
class Quality:
    """How good an adviser is.

    Attributes:
        centre: "optimum", "wrong" (half the range and another choice away, everywhere) or
            "uniform" (anywhere).
        error: standard deviation of a number's place, as a share of its range, and the
            probability of another choice.
        is_biased: draws the error once for all answers, around which a quarter of it remains.
        reads_state: goes on from the best trial that the prompt tells, once it tells some.
        names_ranges: also names the range of each number and the choice that its points come from.
    """

    centre: str = "optimum"
    error: float = 0.1
    is_biased: bool = False
    reads_state: bool = False
    names_ranges: bool = False


class Adviser:
    """Answers requests for points of one problem.

    Args:
        problem: to advise on.
        quality: of the advice.
        seed: of its errors.
    """

    def __init__(self, problem: Problem, quality: Quality, *, seed: int) -> None:
        self._space, self._quality = problem.space, quality
        self._rng = random.Random(seed)
        best = optimum(problem)
        self._centre = self._opposite(best) if quality.centre == "wrong" else best
        self._error = quality.error
        if quality.is_biased:
            self._centre, self._error = self._near(self._centre), quality.error / 4

    def __call__(self, request: Mapping[str, Any]) -> Said:
        """Return a reply with as many points as the schema allows."""
        points = request["response_format"]["json_schema"]["schema"]["properties"]["points"]
        centre = self._read(request) if self._quality.reads_state else self._centre
        if self._quality.centre == "uniform":
            drawn = [self._anywhere() for _ in range(points["maxItems"])]
        else:
            drawn = [self._near(centre) for _ in range(points["maxItems"])]
        reply: dict[str, Any] = {"rationale": "", "points": [dict(p) for p in drawn]}
        if self._quality.names_ranges:
            reply["ranges"] = self._ranges(centre)
        return Said(json.dumps(reply))

    def _ranges(self, centre: Params) -> dict[str, Any]:
        """Return where nine of ten points lie that are drawn around a centre."""
        found: dict[str, Any] = {}
        for path, value in centre.items():
            domain = self._space.by_path[path].domain
            if isinstance(domain, Categorical):
                found[path] = [value]
            elif isinstance(domain, Float | Int) and value not in domain.special:
                place, reach = domain.to_unit(value), 1.645 * self._error
                ends = (domain.from_unit(min(max(place + d, 0.0), 1.0)) for d in (-reach, reach))
                low, high = (min(max(e, domain.lo), domain.hi) for e in ends)
                found[path] = {"lower": low, "upper": high}
        return found

    def _read(self, request: Mapping[str, Any]) -> Params:
        """Return the best trial of the prompt once there are a few, else the own belief."""
        known = json.loads(request["messages"][1]["content"].partition("\nDATA\n")[2])
        best = known.get("best trials", [])
        return Params(best[0]["params"]) if len(best) > 2 else self._centre

    def _near(self, centre: Params) -> Params:
        def pick(p: Parameter, chosen: Mapping[str, Scalar]) -> Scalar:
            unit, known = self._rng.random(), centre.get(p.path)
            if known is None or isinstance(p.domain, Constant):
                return p.domain.from_unit(unit)
            if isinstance(p.domain, Categorical):
                return known if unit > self._error else self._rng.choice(p.domain.choices)
            place = p.domain.to_unit(known) + self._rng.gauss(0.0, self._error)
            return p.domain.from_unit(min(max(place, 0.0), 1.0))

        return self._valid(pick)

    def _opposite(self, best: Params) -> Params:
        def pick(p: Parameter, chosen: Mapping[str, Scalar]) -> Scalar:
            unit, known = self._rng.random(), best.get(p.path)
            if known is None or isinstance(p.domain, Constant):
                return p.domain.from_unit(unit)
            if isinstance(p.domain, Categorical):
                return self._rng.choice([c for c in p.domain.choices if c != known] or [known])
            return p.domain.from_unit((p.domain.to_unit(known) + 0.5) % 1.0)

        return self._valid(pick)

    def _anywhere(self) -> Params:
        return sample(self._space, stream(self._rng.getrandbits(60), 0))

    def _valid(self, pick: Callable[[Parameter, Mapping[str, Scalar]], Scalar]) -> Params:
        for _ in range(MAX_TRIES):
            point = walk(self._space, pick)
            if not self._space.violated(point):
                return point
        return self._anywhere()
