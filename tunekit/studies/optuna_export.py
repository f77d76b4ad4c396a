"""A study as one of Optuna's; importing this module imports Optuna."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import optuna
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from tunekit.optuna_names.words import own_attrs, system_attrs
from tunekit.records import (
    OPTUNA_STATES,
    ObjectiveSpec,
    Report,
    StudyRecord,
    TrialRecord,
    TrialState,
)
from tunekit.spaces import Space
from tunekit.spaces.serialize import space_to_dict
from tunekit.storages.rows import spec_text
from tunekit.studies.optuna_distributions import Distributions
from tunekit.studies.optuna_import import REPORTS, STUDY, TRIAL

_KEPT = (
    "metrics", "sampler", "reason", "evidence", "end_reason", "error", "stop_evidence", "domains",
    "space_version", "worker",
)  # fmt: skip


def to_optuna(
    study: StudyRecord,
    trials: Sequence[TrialRecord],
    reports: Mapping[int, Sequence[Report]],
    spaces: Mapping[int, Space],
    storage: Any = None,
) -> optuna.Study:
    """Return a new study of Optuna with all trials; see `Study.to_optuna`."""
    spec = study.spec
    with _quiet():
        made = optuna.create_study(
            study_name=spec.name,
            storage=storage,
            directions=[o.direction for o in spec.objectives],
            sampler=optuna.samplers.RandomSampler(seed=spec.seed % 2**32),
            pruner=optuna.pruners.NopPruner(),
        )
        names = [o.metric for o in spec.objectives]
        if names not in (["value"], [f"value_{i}" for i in range(len(names))]):
            made.set_metric_names(names)
    for key, value in spec.attrs.items():
        made.set_user_attr(key, value)
    space = None if spec.space is None else space_to_dict(spec.space)
    kept = {"spec": spec_text(spec), "space": space}
    made._storage.set_study_system_attr(made._study_id, STUDY, kept)
    distributions = Distributions(spaces)
    made.add_trials(
        frozen(t, reports.get(t.number, ()), spec.objectives, distributions, spec.constraints)
        for t in sorted(trials, key=lambda t: t.number)
    )
    return made


def frozen(
    t: TrialRecord,
    reports: Sequence[Report],
    objectives: Sequence[ObjectiveSpec],
    distributions: Distributions,
    constraints: Sequence[Any] = (),
) -> FrozenTrial:
    """Return a trial as Optuna's: its params, its result, its curve of the first objective."""
    metric = objectives[0].metric
    state = OptunaState[OPTUNA_STATES[t.state]]
    values = [t.metrics.get(o.metric, math.nan) for o in objectives]
    has_values = all(map(math.isfinite, values)) and state in _WITH_VALUES
    if state is OptunaState.COMPLETE and not has_values:
        state = OptunaState.FAIL
    params, found = distributions.shown(t)
    is_waiting = state is OptunaState.WAITING
    made = FrozenTrial(
        number=t.number,
        trial_id=t.number,
        state=state,
        value=None,
        values=values if has_values else None,
        datetime_start=None if is_waiting else t.datetime_start or _made_at(t),
        datetime_complete=(t.datetime_complete or _made_at(t)) if state.is_finished() else None,
        params={} if is_waiting else params,
        distributions={} if is_waiting else found,
        user_attrs=own_attrs(t.user_attrs),
        system_attrs=_notes(t, reports, metric) | system_attrs(t.user_attrs),
        intermediate_values={r.step: r.metrics[metric] for r in reports if metric in r.metrics},
    )
    if is_waiting and params:
        made.system_attrs["fixed_params"] = params
    for bound in constraints:
        slack = bound.slack(t.metrics)
        if math.isfinite(slack):
            made.set_constraint(str(bound), slack)
    return made


_WITH_VALUES = (OptunaState.COMPLETE, OptunaState.PRUNED)


def _made_at(t: TrialRecord) -> datetime:
    return datetime.fromtimestamp(t.created)


def _notes(t: TrialRecord, reports: Sequence[Report], metric: str) -> dict[str, Any]:
    kept: dict[str, Any] = {k: v for k in _KEPT if (v := getattr(t, k)) not in ("", {}, None)}
    kept["metrics"] = dict(t.metrics)
    notes: dict[str, Any] = {
        TRIAL: {
            **kept,
            "state": str(t.state),
            "created": t.created,
            "started": t.started,
            "finished": t.finished,
        }
    }
    if any(set(r.metrics) - {metric} for r in reports):
        notes[REPORTS] = [[r.step, dict(r.metrics)] for r in reports]
    if t.state is TrialState.STOPPED and t.end_reason:
        notes["tunekit:stopped"] = t.end_reason
    return notes


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what Optuna says of its own experimental parts and of a study being made."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
