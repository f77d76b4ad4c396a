"""Trials and studies of Optuna as records; Optuna itself is not imported."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tunekit.checks import shown
from tunekit.errors import InvalidArgument
from tunekit.records import (
    MetricConstraint,
    ObjectiveSpec,
    Report,
    StudySpec,
    TrialRecord,
    TrialState,
)
from tunekit.spaces import Params
from tunekit.spaces.interop import from_optuna
from tunekit.spaces.serialize import domain_to_dict, space_from_dict
from tunekit.storages.rows import spec_fields

STUDY, TRIAL, REPORTS = "tunekit:study", "tunekit:trial", "tunekit:reports"
"""System attributes with what Optuna has no place for, so that the way back is exact."""

CONSTRAINT = "constraint "
"""Prefix of the name of an Optuna constraint, which holds if its value is at most 0."""

_STATES = {
    "COMPLETE": TrialState.COMPLETE,
    "PRUNED": TrialState.STOPPED,
    "FAIL": TrialState.FAILED,
    "RUNNING": TrialState.LOST,
    "WAITING": TrialState.WAITING,
}


def spec_of(study: Any, trials: Sequence[Any], name: str, seed: int) -> StudySpec:
    """Return how a study of Optuna is made here; one that was made here comes back as it was."""
    kept = study._storage.get_study_system_attrs(study._study_id).get(STUDY)
    if kept is not None:
        space = None if kept["space"] is None else space_from_dict(kept["space"])
        fields = spec_fields(kept["spec"])
        return StudySpec(name=name, space=space, attrs=dict(study.user_attrs), **fields)
    several = len(study.directions) > 1
    names = study.metric_names or [
        f"value_{i}" if several else "value" for i in range(len(study.directions))
    ]
    ways = ["maximize" if d.name == "MAXIMIZE" else "minimize" for d in study.directions]
    bounds = sorted({c for t in trials for c in t.constraints})
    return StudySpec(
        name=name,
        objectives=tuple([ObjectiveSpec(n, w) for n, w in zip(names, ways, strict=True)]),  # type: ignore[arg-type]
        constraints=tuple([MetricConstraint(CONSTRAINT + c, "<=", 0.0) for c in bounds]),
        seed=seed,
        attrs=dict(study.user_attrs),
    )


class OptunaTrialReader:
    """Reads trials of Optuna, in order; each domain is noted with the first trial that has it.

    Args:
        spec: of the study that they come into.

    Attributes:
        metric: of the first objective, which curves are of.
    """

    def __init__(self, spec: StudySpec) -> None:
        self._spec = spec
        self._domains: dict[str, dict[Any, dict[str, Any]]] = {}
        self.metric = spec.objectives[0].metric

    def read(self, trial: Any) -> tuple[TrialRecord, list[Report]]:
        """Return a trial as a record, with its reports.

        Raises:
            InvalidArgument: it is not an Optuna trial, or has values for other objectives.
            InvalidSpace: a distribution has no counterpart.
        """
        if not all(hasattr(trial, a) for a in ("params", "intermediate_values", "distributions")):
            raise InvalidArgument(
                f"trial={shown(trial)}, expected one of tunekit's or Optuna's; make one with "
                "optuna.trial.create_trial(params=..., distributions=..., value=...)."
            )
        kept = trial.system_attrs.get(TRIAL)
        record = self._foreign(trial) if kept is None else self._own(trial, kept)
        metric = self.metric
        curve = trial.system_attrs.get(REPORTS) or [
            [step, {metric: v}] for step, v in sorted(trial.intermediate_values.items())
        ]
        return record, [Report(int(step), metrics) for step, metrics in curve]

    def _own(self, trial: Any, kept: Mapping[str, Any]) -> TrialRecord:
        fields = dict(kept)
        state = TrialState(fields.pop("state"))
        if not state.is_finished and state is not TrialState.WAITING:
            state = TrialState.LOST
        params = trial.params or trial.system_attrs.get("fixed_params")
        asked_nothing = not params and state is TrialState.COMPLETE
        return TrialRecord(
            trial.number,
            state,
            params=_params({} if asked_nothing else params),
            user_attrs=dict(trial.user_attrs),
            **fields,
        )

    def _foreign(self, trial: Any) -> TrialRecord:
        values = trial.values
        curve = trial.intermediate_values
        state = _STATES[trial.state.name]
        if values is None and state is TrialState.STOPPED and curve:
            values = [curve[max(curve)]]
        objectives = self._spec.objectives
        if values is not None and len(values) != len(objectives) and state is TrialState.COMPLETE:
            raise InvalidArgument(
                f"trial {trial.number} has {len(values)} values, but the study has "
                f"{len(objectives)} objectives {[o.metric for o in objectives]}."
            )
        metrics = {o.metric: float(v) for o, v in zip(objectives, values or [], strict=False)}
        metrics |= {CONSTRAINT + name: float(v) for name, v in trial.constraints.items()}
        if state is TrialState.COMPLETE and not all(map(math.isfinite, values or [])):
            state = TrialState.DIVERGED
        lost = "it was running in Optuna when it was taken over"
        start, end = _seconds(trial.datetime_start), _seconds(trial.datetime_complete)
        is_waiting = state is TrialState.WAITING
        params = trial.params or (trial.system_attrs.get("fixed_params") if is_waiting else None)
        return TrialRecord(
            trial.number,
            state,
            params=_params(params if params or is_waiting else {}),
            sampler="" if is_waiting else "optuna",
            metrics=metrics,
            end_reason=lost if state is TrialState.LOST else "",
            error=str(trial.system_attrs.get("fail_reason", "")),
            user_attrs=dict(trial.user_attrs),
            domains=self._news(trial.distributions),
            created=start or 0.0,
            started=start,
            finished=end,
        )

    def _news(self, distributions: Mapping[str, Any]) -> dict[str, Any]:
        """Return the domains that no earlier trial had, if the space is discovered."""
        if self._spec.space is not None:
            return {}
        out = {}
        for name, d in distributions.items():
            known = self._domains.setdefault(name, {})
            if d not in known:
                known[d] = domain_to_dict(from_optuna({name: d}).by_path[name].domain)
                out[name] = known[d]
        return out


def _params(params: Mapping[str, Any] | None) -> Params | None:
    if params is None:
        return None
    return Params({name.removesuffix("#special"): v for name, v in params.items()})


def _seconds(moment: Any) -> float | None:
    return None if moment is None else float(moment.timestamp())
