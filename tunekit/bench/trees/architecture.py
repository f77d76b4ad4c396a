"""Network architecture problem: each block of a stack picks an operation with its own subtree."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from tunekit.bench.problem import Problem
from tunekit.bench.trees.draw import Recipe, draw_pairs, draw_problem, draw_terms
from tunekit.bench.trees.landscape import Landscape, Number, best_point
from tunekit.spaces import Categorical, Float, Int, Repeat, Space

DEPTH = (3, 6)
RECIPE = Recipe(gap=(0.05, 0.25), weight=0.35, decay=0.8)
FADING = 0.85
"""Weight of a block relative to the block below it."""


def instance(rng: np.random.Generator) -> Problem:
    """Return a network problem of 3 to 6 blocks; the optimum has 5 or 6, and 10 to 14 switches.

    Adjacent operations may clash, the best learning rate depends on the number of blocks, and
    adding a well-set block beats stopping short of the best number.
    """
    space = _space()
    terms = draw_terms(space, rng, RECIPE)
    lo, hi = DEPTH
    n_blocks = Int(lo, hi)
    terms["layers"] = Number(n_blocks, n_blocks.to_unit(int(rng.integers(hi - 1, hi + 1))), 0.8)
    for path, term in terms.items():
        if isinstance(term, Number) and path.startswith("layers."):
            terms[path] = replace(term, weight=term.weight * FADING ** int(path.split(".")[1]))
    lr = terms["lr"]
    assert isinstance(lr, Number)
    terms["lr"] = replace(lr, weight=0.4, shape="cliff", follows="layers", slope=-0.4)
    landscape = Landscape(terms, best_point(space, terms), 0.05, outer="saturating")
    ops = [f"layers.{i}.op" for i in range(hi)]
    landscape = draw_pairs(landscape, pairwise(ops), rng, 0.1)
    return draw_problem("architecture", space, landscape=landscape, rng=rng)


def _space() -> Space:
    norm = Categorical(
        {
            "none": None,
            "batch": Space(momentum=Float(0.8, 0.999)),
            "group": Space(groups=Int(1, 16, log=True)),
        }
    )
    position = Categorical({"none": None, "relative": Space(buckets=Int(8, 64, log=True))})
    activation = Categorical({"relu": None, "leaky": Space(slope=Float(0.001, 0.5, log=True))})
    width = Int(8, 256, log=True)
    block = Space(
        op=Categorical(
            {
                "conv": Space(kernel=Int(1, 9, step=2), width=width, norm=norm),
                "separable": Space(kernel=Int(1, 9, step=2), multiplier=Int(1, 6), norm=norm),
                "attention": Space(heads=Int(1, 16, log=True), width=width, position=position),
                "dense": Space(width=width, dropout=Float(0.0, 0.6), activation=activation),
                "pool": Space(size=Int(2, 4), kind=Categorical(["max", "mean"])),
            }
        )
    )
    optimizer = Categorical(
        {
            "sgd": Space(momentum=Float(0.0, 0.99)),
            "adam": Space(beta1=Float(0.8, 0.99), beta2=Float(0.9, 0.9999)),
        }
    )
    return Space(
        lr=Float(1e-5, 1e-1, log=True), optimizer=optimizer, layers=Repeat(*DEPTH, block=block)
    )
