"""Encodes points by strings that describe the sequence of their modules.

A *module* is a chosen value, written `name=value` without the branches above it, so that
the same choice in two branches (or in two blocks of a `Repeat`) is the same module. The modules
of a point stand in traversal order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tunekit.errors import InvalidParams
from tunekit.identifiers import digest
from tunekit.spaces import Categorical, Constant, Float, Params, Scalar, Space

N_BUCKETS = 2048
N_BINS = 16
"""Number of bins of a float; the original supports only lists of values."""

MAX_GRAM = 4
MIN_COUNT = 3


def modules(space: Space, params: Mapping[str, Scalar]) -> list[str]:
    """Return the modules of a point in traversal order."""
    return [module for module, _ in _with_owner(space, params) if module]


def features(space: Space, params: Mapping[str, Scalar]) -> Iterator[str]:
    """Yield `module`, `a |-> b` for each consecutive pair, and `module/h = value`.

    A number belongs to the module before it.
    """
    before = "start"
    for module, own in _with_owner(space, params):
        if module:
            yield module
            yield f"{before} |-> {module}"
            before = module
        else:
            yield f"{before}/{own}"


def hashed(points: Iterable[Params], space: Space) -> NDArray[np.float64]:
    """Return `(n, N_BUCKETS)` counts of the features, each in the bucket of its hash.

    The hash is BLAKE2, because Python's own differs between processes.
    """
    rows = []
    for params in points:
        buckets = [bucket(f) for f in features(space, params)]
        rows.append(np.bincount(np.array(buckets, dtype=np.intp), minlength=N_BUCKETS))
    return np.array(rows, dtype=np.float64).reshape(len(rows), N_BUCKETS)


@lru_cache(maxsize=100_000)
def bucket(feature: str) -> int:
    """Return the bucket of a feature, the same in every process."""
    return int.from_bytes(digest(feature.encode(), n_bytes=8), "big") % N_BUCKETS


def grams(space: Space, params: Mapping[str, Scalar]) -> Counter[tuple[str, ...]]:
    """Return the number of occurrences of each run of 1 to 4 modules in a point."""
    names = modules(space, params)
    return Counter(
        tuple(names[i : i + length])
        for length in range(1, MAX_GRAM + 1)
        for i in range(len(names) - length + 1)
    )


def frequent_grams(counted: Sequence[Counter[tuple[str, ...]]]) -> list[tuple[str, ...]]:
    """Return the n-grams with 3 or more occurrences over all points, sorted."""
    total: Counter[tuple[str, ...]] = Counter()
    for c in counted:
        total.update(c)
    return sorted(gram for gram, n in total.items() if n >= MIN_COUNT)


def gram_rows(
    counted: Sequence[Counter[tuple[str, ...]]], vocabulary: Sequence[tuple[str, ...]]
) -> NDArray[np.float64]:
    """Return `(n, len(vocabulary) + 1)` counts of n-grams; the last column is the depth."""
    rows = [
        [*(c[gram] for gram in vocabulary), sum(n for gram, n in c.items() if len(gram) == 1)]
        for c in counted
    ]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(vocabulary) + 1)


def _with_owner(space: Space, params: Mapping[str, Scalar]) -> Iterator[tuple[str, str]]:
    """Yield (module, "") for each choice and ("", "name = value") for each number, in order.

    Values made invalid by an edit of the space are skipped.
    """
    for p in space.parameters:
        if p.path not in params or isinstance(p.domain, Constant):
            continue
        try:
            value = p.domain.validate(params[p.path], p.path)
        except InvalidParams:
            continue
        name = p.path.rsplit(".", 1)[-1]
        if isinstance(p.domain, Categorical):
            yield f"{name}={value!r}", ""
        elif isinstance(p.domain, Float) and p.domain.size > N_BINS:
            yield "", f"{name} = bin {min(int(p.domain.to_unit(value) * N_BINS), N_BINS - 1)}"  # type: ignore[arg-type]
        else:
            yield "", f"{name} = {value!r}"
