"""Finds the earlier studies of a storage that a new one can learn from."""

from __future__ import annotations

from itertools import islice

from tunekit.records import Direction
from tunekit.spaces import Categorical, Domain, Space
from tunekit.storages.base import Storage
from tunekit.studies.histories import read_history

N_SIMILAR = 3

LEAST_LIKE = 0.5
"""Share of the parameters of both spaces together that have to be alike."""


def similar_studies(
    storage: Storage,
    space: Space,
    metric: str,
    *,
    direction: Direction = "minimize",
    n: int = N_SIMILAR,
) -> list[str]:
    """Return the names of the most similar studies with a result, for `warm_start`.

    Similar is a study with the same metric and direction that has at least half of the
    parameters of both spaces together: the same path, and numbers, or a choice in common.

    Args:
        storage: with the studies.
        space: of the new study.
        metric: of the new study.
        direction: of the metric.
        n: most names to return, the most similar study first, the newer one of equals.
    """
    alike_ones = []
    for record in storage.list_studies():
        spec = record.spec
        wanted = [o for o in spec.objectives if (o.metric, o.direction) == (metric, direction)]
        if spec.space is None or not wanted or not record.n_trials:
            continue
        likeness = alike(space, spec.space)
        if likeness >= LEAST_LIKE:
            alike_ones.append((-likeness, -record.created, spec.name, record))
    ranked = (record for *_, record in sorted(alike_ones, key=lambda found: found[:3]))
    with_result = (r.spec.name for r in ranked if read_history(storage, r).best is not None)
    return list(islice(with_result, n))  # the trials of no further study are read


def alike(a: Space, b: Space) -> float:
    """Return the share of the parameters of two spaces that they have in common, from 0 to 1."""
    paths = a.by_path.keys() | b.by_path.keys()
    shared = [
        p for p in a.by_path.keys() & b.by_path.keys()
        if _same_kind(a.by_path[p].domain, b.by_path[p].domain)
    ]  # fmt: skip
    return len(shared) / len(paths) if paths else 0.0


def _same_kind(a: Domain, b: Domain) -> bool:
    if isinstance(a, Categorical) and isinstance(b, Categorical):
        return any(b.index(choice) >= 0 for choice in a.choices)
    return isinstance(a, Categorical) == isinstance(b, Categorical)
