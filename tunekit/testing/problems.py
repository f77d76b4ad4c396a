"""Provides two small problems, one with a tree and one flat, for tests of comparisons."""

from __future__ import annotations

from typing import Any

from tunekit.bench.problem import Problem
from tunekit.spaces import Categorical, Float, Int, Space

TREE = Space(
    model=Categorical(
        {"a": Space(x=Float(0, 1)), "b": Space(y=Float(0, 1), depth=Int(1, 9, default=2))}
    )
)
FLAT = Space(x=Float(-5, 5), y=Float(-5, 5))


def branchy(params: Any) -> float:
    """Return the loss on `TREE`: 0 at depth 4 of branch b, at least 0.1 in branch a."""
    if params["model"] == "a":
        return float((params["x"] - 0.3) ** 2 + 0.1)
    return float((params["y"] - 0.7) ** 2 + abs(params["depth"] - 4) / 10)


def sphere(params: Any) -> float:
    """Return the loss on `FLAT`, which is 0 at the centre."""
    return float(params["x"] ** 2 + params["y"] ** 2)


def two() -> list[Problem]:
    """Return one problem with and one without a known best value."""
    return [
        Problem("toy/tree", TREE, branchy, best_known=0.0),
        Problem("toy/flat", FLAT, sphere),
    ]
