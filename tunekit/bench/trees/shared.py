"""Training recipe problem: several choices share parameters and interact with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tunekit.bench.problem import Problem
from tunekit.bench.trees.draw import Recipe, draw_pairs, draw_problem, draw_terms
from tunekit.bench.trees.landscape import Landscape, Number, Term, best_point
from tunekit.spaces import Categorical, Float, Int, Space, When

RECIPE = Recipe(gap=(0.1, 0.35), weight=0.5, decay=0.85)
FOLLOWERS = {"warmup": "lr", "beta2": "lr", "decay": "lr", "lr": "batch"}


def instance(rng: np.random.Generator) -> Problem:
    """Return a training recipe in which results of one optimiser inform parameters of others.

    The best learning rate shifts with the batch size; the best warm-up, decay and second moment
    shift with the learning rate. Some optimisers clash with some schedules.
    """
    space = _space()
    terms = draw_terms(space, rng, RECIPE)
    for name, other in FOLLOWERS.items():
        terms[name] = _following(terms[name], other, float(rng.choice([-0.5, -0.3, 0.3, 0.5])))
    landscape = Landscape(terms, best_point(space, terms), 0.1)
    pairs = [("optimizer", "schedule"), ("optimizer", "augment")]
    landscape = draw_pairs(landscape, pairs, rng, 0.25)
    return draw_problem("shared", space, landscape=landscape, rng=rng)


def _following(term: Term, other: str, slope: float) -> Number:
    assert isinstance(term, Number)
    return replace(term, follows=other, slope=slope)


def _space() -> Space:
    """Return three switches whose values share children in overlapping groups."""
    optimizers = ["sgd", "heavyball", "nesterov", "rmsprop", "adam", "adamw", "lamb"]
    return Space(
        lr=Float(1e-5, 1.0, log=True),
        batch=Int(8, 1024, log=True),
        optimizer=Categorical(optimizers),
        schedule=Categorical(["constant", "cosine", "linear", "step", "plateau"]),
        augment=Categorical(["none", "crop", "mix", "auto"]),
        when=[
            When("optimizer", ["heavyball", "nesterov", "rmsprop"], _momentum()),
            When("optimizer", ["rmsprop", "adam", "adamw", "lamb"], _second_moment()),
            When("optimizer", ["adam", "adamw", "lamb"], Space(beta1=Float(0.5, 0.99))),
            When("optimizer", ["sgd", "nesterov", "adamw", "lamb"], _decay()),
            When("schedule", ["cosine", "linear", "step"], Space(warmup=Float(0.0, 0.3))),
            When("schedule", ["step", "plateau"], Space(factor=Float(0.05, 0.9))),
            When("schedule", "plateau", Space(patience=Int(1, 20))),
            When("augment", ["crop", "mix", "auto"], Space(magnitude=Float(0.0, 1.0))),
            When("augment", ["mix", "auto"], Space(alpha=Float(0.05, 2.0, log=True))),
        ],
    )


def _momentum() -> Space:
    return Space(momentum=Float(0.0, 0.99), dampen=bool)


def _second_moment() -> Space:
    return Space(beta2=Float(0.9, 0.9999), epsilon=Float(1e-9, 1e-2, log=True))


def _decay() -> Space:
    clip = Categorical({"off": None, "norm": Space(limit=Float(0.01, 10.0, log=True))})
    return Space(decay=Float(1e-6, 1e-1, log=True), clip=clip)
