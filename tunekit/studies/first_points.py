"""Begins a study with a few points that a language model knows from similar workloads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tunekit.checks import check_whole, is_number, shown
from tunekit.errors import InvalidArgument, MissingExtra, TunekitError
from tunekit.history import History
from tunekit.records import StudyRecord
from tunekit.samplers.llm.backends import Backend
from tunekit.samplers.llm.earlier_runs import EarlierRuns
from tunekit.samplers.llm.first_points import Check, FirstPoints, Situation, first_points
from tunekit.samplers.llm.similar import EarlierWorkload, Profile, nearest
from tunekit.spaces import Params, Space
from tunekit.spaces.versions import fitted
from tunekit.storages.base import Storage
from tunekit.studies.histories import read_history

if TYPE_CHECKING:
    from tunekit.studies.study import Study

PROFILE = "profile"
"""Attribute of a study: the profile of its workload."""

SITUATION = "situation"
"""Attribute of a study: what a model was told besides the space."""

FIRST = "first_points"
"""Attribute of a study: what came of asking a model."""

MAX_WORKLOADS = 200


def enqueue_first_points(
    study: Study,
    profile: Profile,
    *,
    backend: Backend,
    schema: str = "",
    hardware: str = "",
    task: str = "",
    check: Check = lambda params: (),
    k: int = 8,
    n_real: int = 2,
    n_examples: int = 3,
    timeout_s: float = 120.0,
    user_attrs: Mapping[str, Any] | None = None,
) -> FirstPoints | None:
    """Ask a language model for whole configurations, and enqueue the best ones.

    The studies of the same storage that have a profile are the examples, and rank what it says.
    All of it is kept with the study, whose own sampler goes on from there. A study that was begun
    so is left as it is.

    Args:
        study: with a declared space and one objective.
        profile: features of its workload: numbers and words.
        backend: of the model, such as `tunekit.samplers.llm.endpoint.endpoint_of("llama3.2")`.
        schema: of the data.
        hardware: that it runs on.
        task: what is minimised or maximised, in words.
        check: says why a point must not run.
        k: candidates to ask for, 1 to 20.
        n_real: most points to enqueue, 0 to 8.
        n_examples: similar workloads that the prompt shows.
        timeout_s: seconds for all attempts together.
        user_attrs: plain JSON stored with each of the trials, besides where it comes from.

    Returns:
        What came of it; `None` if the study has been begun so before.

    Raises:
        InvalidArgument: the profile is none, or the study has several objectives.
    """
    check_whole(k, "k", low=1, high=20)
    check_whole(n_real, "n_real", low=0, high=8)
    check_whole(n_examples, "n_examples", low=0, high=20)
    _check_profile(profile)
    if len(study.objectives) > 1:
        raise InvalidArgument("first points need a study with one objective.")
    if FIRST in study.user_attrs:
        return None
    situation = Situation(dict(profile), schema, hardware, task or _task(study))
    study.set_user_attr(PROFILE, dict(profile))
    study.set_user_attr(SITUATION, situation.to_dict())
    earlier = earlier_workloads(study.storage, study.space, study.record())
    found = first_points(
        study.space,
        backend,
        situation,
        examples=nearest(profile, earlier, n_examples),
        runs=_runs(study.space, earlier),
        check=check,
        k=k,
        n_real=n_real,
        timeout_s=timeout_s,
    )
    study.set_user_attr(FIRST, found.to_dict())
    for rank, candidate in enumerate(found.chosen):
        note = {"origin": "language model", "rank": rank, "expected": candidate.expected}
        attrs = {**note, **(user_attrs or {})}
        study.enqueue_trial(candidate.params, user_attrs=attrs, skip_if_exists=True)
    return found


def earlier_workloads(storage: Storage, space: Space, new: StudyRecord) -> list[EarlierWorkload]:
    """Return the workloads of other studies with a profile, a result and a space that fits.

    Args:
        storage: with the studies.
        space: whose points are of use.
        new: the study that is not among them, and whose objective they have.
    """
    objective = new.spec.objectives[0]
    found = []
    for record in storage.list_studies():
        spec = record.spec
        same = record.id != new.id and [o for o in spec.objectives if o == objective]
        if not same or not is_profile(spec.attrs.get(PROFILE)):
            continue
        workload = workload_of(record, read_history(storage, record), space)
        if workload is not None:
            found.append(workload)
    return found[:MAX_WORKLOADS]


def workload_of(record: StudyRecord, history: History, space: Space) -> EarlierWorkload | None:
    """Return a study's workload with its runs; `None` if its best point lies outside the space."""
    best = history.best
    if best is None or best.params is None:
        return None
    point = _fitted(best.params, space)
    if point is None:
        return None
    objective = record.spec.objectives[0]
    runs = []
    for trial in history.complete():
        params = None if trial.params is None else _fitted(trial.params, space)
        if params is not None:
            runs.append((params, objective.loss(trial.metrics[objective.metric])))
    return EarlierWorkload(record.spec.name, record.spec.attrs[PROFILE], point, tuple(runs))


def is_profile(value: object) -> bool:
    """Return whether a value is a profile: names with finite numbers and words."""
    if not isinstance(value, Mapping) or not value:
        return False
    named = all(isinstance(name, str) for name in value)
    return named and all(
        isinstance(v, bool | str) or (is_number(v) and math.isfinite(v)) for v in value.values()
    )


def _check_profile(profile: object) -> None:
    if not is_profile(profile):
        raise InvalidArgument(
            f"profile={shown(profile)}, expected a mapping of features to numbers or words, such "
            'as {"read_ratio": 0.8, "clients": 16}.'
        )


def _fitted(params: Mapping[str, Any], space: Space) -> Params | None:
    try:
        return fitted(params, space)
    except TunekitError:
        return None


def _runs(space: Space, earlier: Sequence[EarlierWorkload]) -> EarlierRuns | None:
    """Return what ranks candidates; without scikit-learn the model's own order does."""
    try:
        return EarlierRuns(space, earlier)
    except MissingExtra:
        return None


def _task(study: Study) -> str:
    return ", ".join(f"{o.direction} {o.metric}" for o in study.objectives)
