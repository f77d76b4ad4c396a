"""Copies trials of earlier studies into a new one, once.

The copy is stored with the new study, so that every process sees the same trials and the earlier
studies may continue or be deleted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tunekit.errors import InvalidArgument
from tunekit.records import ObjectiveSpec, StudySpec, TrialState
from tunekit.samplers.bayesian.fitting import chosen_rows
from tunekit.samplers.bayesian.past_studies import PastStudy
from tunekit.stoppers.base import CurveView
from tunekit.stoppers.curves.complete import PastRuns
from tunekit.storages.base import Storage
from tunekit.studies.histories import read_history

MAX_TRIALS = 100
"""Maximum number of trials to keep of a study: half are the best, half are spread evenly."""


def snapshot(storage: Storage, name: str, objectives: Sequence[ObjectiveSpec]) -> PastStudy:
    """Return the trials of a study that help one with these objectives.

    Raises:
        UnknownStudy: the storage has no such study.
        InvalidArgument: there are several objectives, the study measured something else or the
            same in the other direction, or it has no result.
    """
    record = storage.get_study(name)
    objective = _matching(record.spec, objectives)
    history = read_history(storage, record)
    useful = (TrialState.COMPLETE, TrialState.STOPPED)
    trials = [t for t in history if t.state in useful and t.params is not None]
    trials = [t for t in trials if history.violation(t) == 0.0]
    losses = np.array([objective.loss(t.metrics.get(objective.metric, np.nan)) for t in trials])
    known = np.flatnonzero(np.isfinite(losses))
    if not len(known):
        raise InvalidArgument(
            f'warm_start: study "{name}" has no feasible trial with a result; remove it.'
        )
    kept = known[chosen_rows(losses[known], MAX_TRIALS)]
    pairs = [(dict(trials[i].params or {}), float(losses[i])) for i in kept]
    return PastStudy(name, len(known), tuple(pairs))


def past_curves(
    storage: Storage, name: str, objectives: Sequence[ObjectiveSpec]
) -> dict[str, Any]:
    """Return the curves of a study's trials that ended by themselves, for the stopper "curve".

    Give it as `stopper_options={"past": [past_curves(...)]}`; at most `MAX_TRIALS` are kept, of
    each quality. Values are losses of the matching objective: less is better.

    Raises:
        UnknownStudy: the storage has no such study.
        InvalidArgument: there are several objectives, the study measured something else or the
            same in the other direction, or none of its trials has reported and ended.
    """
    runs = _runs(storage, name, objectives)
    if runs is None:
        objective = _matching(storage.get_study(name).spec, objectives)
        raise InvalidArgument(
            f'past_curves: study "{name}" has no complete trial that reported '
            f'"{objective.metric}"; remove it.'
        )
    return runs.to_dict()


def reported_curves(
    places: Sequence[tuple[Storage, str]], objectives: Sequence[ObjectiveSpec]
) -> list[dict[str, Any]]:
    """Return the curves of earlier studies, as `past_curves`; those without any are left out."""
    found = [_runs(storage, name, objectives) for storage, name in places]
    return [runs.to_dict() for runs in found if runs is not None]


def _runs(storage: Storage, name: str, objectives: Sequence[ObjectiveSpec]) -> PastRuns | None:
    record = storage.get_study(name)
    objective = _matching(record.spec, objectives)
    history = read_history(storage, record)
    view = CurveView((objective,), history, storage.reports(record.id, None))
    runs = PastRuns.of(name, view, objective)
    if not any(math.isfinite(final) for final in runs.finals):
        return None
    return runs.taken(chosen_rows(np.array(runs.finals), MAX_TRIALS).tolist())


def _matching(spec: StudySpec, objectives: Sequence[ObjectiveSpec]) -> ObjectiveSpec:
    """Return the objective of an earlier study that a new one can learn from."""
    if len(objectives) != 1:
        raise InvalidArgument(
            f"warm_start: the new study has {len(objectives)} objectives, expected one; leave "
            "warm_start out."
        )
    new = objectives[0]
    same = next((o for o in spec.objectives if o.metric == new.metric), None)
    if same is None and len(spec.objectives) == 1:
        return spec.objectives[0]  # only the order of the trials counts, not the unit
    if same is None or same.direction != new.direction:
        was = {o.metric: o.direction for o in spec.objectives}
        raise InvalidArgument(
            f'warm_start: study "{spec.name}" has the objectives {was}, expected one called '
            f'"{new.metric}" to {new.direction}; leave it out.'
        )
    return same
