"""Finds the earlier studies whose best points a language model sees, once, for a new study.

The copy is stored with the study, so that the earlier ones may continue or be deleted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tunekit.checks import is_whole
from tunekit.records import ObjectiveSpec, StudySpec
from tunekit.storages.base import Storage
from tunekit.studies.histories import read_history
from tunekit.studies.similar_studies import N_SIMILAR, similar_studies

if TYPE_CHECKING:
    from tunekit.samplers.bayesian.past_studies import PastStudy

EXAMPLES = "examples"
"""Option of `llm` and `auto` that holds them."""

N_POINTS = 10
"""Points that are kept of a study: its best ones. Some may not fit the new space."""


def with_examples(storage: Storage, spec: StudySpec) -> StudySpec:
    """Return the spec of a new study with the best points of similar ones for its language model.

    They are those of `similar_studies`. Unchanged is a spec without a language model, without a
    declared space, with several objectives, with earlier studies of its own, or `n_similar=0`.

    Args:
        storage: of the study; a project of a service has its own.
        spec: of the new study.
    """
    n = _n_wanted(spec)
    if not n or spec.space is None or len(spec.objectives) != 1:
        return spec
    from tunekit.samplers.llm.past_examples import MAX_CHARS  # which other studies do not load

    (objective,) = spec.objectives
    names = similar_studies(
        storage, spec.space, objective.metric, direction=objective.direction, n=n
    )
    found: list[dict[str, Any]] = []
    for name in names:
        example = _best_points(storage, name, objective).to_dict()
        if len(json.dumps([*found, example])) <= MAX_CHARS:
            found.append(example)
    if not found:
        return spec
    return replace(spec, sampler_options={**spec.sampler_options, EXAMPLES: found})


def with_kept_examples(spec: StudySpec, kept: StudySpec) -> Mapping[str, Any]:
    """Return the options of a sampler that is given again, with the examples of its study.

    Args:
        spec: with the given sampler and options.
        kept: of the stored study.
    """
    examples = kept.sampler_options.get(EXAMPLES) if _n_wanted(spec) else None
    return {**spec.sampler_options, EXAMPLES: examples} if examples else spec.sampler_options


def _n_wanted(spec: StudySpec) -> int:
    """Return how many similar studies a language model wants to see; 0 without one."""
    options = spec.sampler_options
    own = options if spec.sampler == "llm" else options.get("llm")
    is_asked = spec.sampler == "llm" or (spec.sampler == "auto" and isinstance(own, Mapping))
    if not is_asked or not isinstance(own, Mapping):
        return 0
    if any(key in given for given in (options, own) for key in ("past", EXAMPLES)):
        return 0
    n = own.get("n_similar", N_SIMILAR)
    return n if is_whole(n) else 0  # the sampler refuses it


def _best_points(storage: Storage, name: str, objective: ObjectiveSpec) -> PastStudy:
    from tunekit.samplers.bayesian.past_studies import PastStudy

    history = read_history(storage, storage.get_study(name))
    feasible = [t for t in history.complete() if t.params and not history.violation(t)]
    pairs = [
        (dict(t.params or {}), loss)
        for t in feasible
        if math.isfinite(loss := objective.loss(t.metrics[objective.metric]))
    ]
    return PastStudy(name, len(pairs), tuple(sorted(pairs, key=lambda p: p[1])[:N_POINTS]))
