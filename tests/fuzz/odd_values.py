"""Seeded odd values, and documents in which one stands where it does not belong."""

from __future__ import annotations

import copy
import math
import os
import random
from collections.abc import Iterator
from typing import Any

ROUNDS = int(os.environ.get("TUNEKIT_FUZZ_ROUNDS", "1"))
"""Multiplies the number of documents that each door is shown."""


def nested(depth: int, leaf: Any = 1) -> Any:
    """Return a value in so many lists and mappings."""
    for k in range(depth):
        leaf = [leaf] if k % 2 else {"a": leaf}
    return leaf


ODD: list[Any] = [
    None, True, False, 0, 1, -1, 3, 2.5, -0.0, 1e308, 5e-324, 2**53 + 1, 2**63, 2**70, -(10**400),
    math.nan, math.inf, -math.inf, "", "x", "float", "a.b", "\ud800", "\x00", "\x1b[31m", "=1+1",
    "x" * 5000, [], [1], ["a"], [[]], [None], [1, 2, 3, 4], {}, {"a": 1}, {"a": [1]},
    {"type": "int"}, {"type": "float", "lo": 0, "hi": 1}, {"": {}}, {"x": None},
    nested(40), nested(90),
]  # fmt: skip


def mutated(document: Any, rng: random.Random) -> Any:
    """Return a copy of plain JSON in which a few places hold something else."""
    copied = copy.deepcopy(document)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        copied = _once(copied, rng)
    return copied


def documents(base: Any, n: int, *, seed: int) -> Iterator[Any]:
    """Give so many documents, times `ROUNDS`; the same ones in each run."""
    rng = random.Random(seed)
    for _ in range(n * ROUNDS):
        yield mutated(base, rng)


def _once(document: Any, rng: random.Random) -> Any:
    places = list(_places(document))
    if not places or rng.random() < 0.03:
        return copy.deepcopy(rng.choice(ODD))
    holder, key = rng.choice(places)
    what = rng.random()
    if what < 0.75:
        holder[key] = copy.deepcopy(rng.choice(ODD))
    elif what < 0.85:
        del holder[key]
    elif isinstance(holder, dict):
        holder[rng.choice(["zzz", "", "lo", "value", "type", "$float"])] = copy.deepcopy(
            rng.choice(ODD)
        )
    else:
        holder.insert(key, copy.deepcopy(rng.choice(ODD)))
    return document


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(document, dict):
        for key, value in list(document.items()):
            yield document, key
            yield from _places(value)
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield document, index
            yield from _places(value)
