"""tunekit's samplers and stoppers inside an Optuna study.

`optuna.create_study(sampler=as_optuna_sampler("bayesian"), pruner=as_optuna_pruner("median"))`;
the other way round is `tk.study(sampler="optuna")` and `stopper="optuna"`.
"""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, cast

import optuna
from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from tunekit import registry
from tunekit.errors import InvalidArgument, UnknownParameter
from tunekit.history import History
from tunekit.records import MetricConstraint, Objective, Proposal, Report, TrialRecord, TrialState
from tunekit.samplers.base import Sampler, StudyView, stream, suggested
from tunekit.spaces import Params, Space
from tunekit.spaces.discover import Discovery
from tunekit.spaces.interop import from_optuna
from tunekit.spaces.serialize import domain_to_dict
from tunekit.stoppers.base import CurveView, Stopper
from tunekit.threads import one_thread

REASON, EVIDENCE = "tunekit:reason", "tunekit:evidence"
"""System attributes of an Optuna trial: why it was proposed, and what the sampler wants back."""

STOPPED = "tunekit:stopped"
"""System attribute of an Optuna trial: why the pruner ended it."""

_STATES = {
    OptunaState.COMPLETE: TrialState.COMPLETE,
    OptunaState.PRUNED: TrialState.STOPPED,
    OptunaState.FAIL: TrialState.FAILED,
    OptunaState.RUNNING: TrialState.RUNNING,
    OptunaState.WAITING: TrialState.WAITING,
}


def as_optuna_sampler(
    sampler: str | Sampler = "auto",
    *,
    space: Space | None = None,
    seed: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> TunekitSampler:
    """Return a sampler for `optuna.create_study`.

    Args:
        sampler: a short name or an instance.
        space: the tree, if it is to be declared; the objective then asks by full or by unique
            short names. Without one it is discovered from what the trials asked.
        seed: keys all random streams; a new one each time by default.
        options: keyword arguments of a sampler that is given by its short name.

    Raises:
        InvalidArgument: no such sampler, or options that it does not take.
    """
    if not isinstance(sampler, str) and options:
        raise InvalidArgument(f"options={dict(options)!r} for a sampler that is made already.")
    made = registry.make("sampler", sampler, options) if isinstance(sampler, str) else sampler
    return TunekitSampler(cast(Sampler, made), space=space, seed=seed)


def as_optuna_pruner(
    stopper: str | Stopper, *, options: Mapping[str, Any] | None = None
) -> TunekitPruner:
    """Return a pruner for `optuna.create_study`; Optuna has no pause, so a pause ends a trial.

    Raises:
        InvalidArgument: no such stopper, or options that it does not take.
    """
    if not isinstance(stopper, str) and options:
        raise InvalidArgument(f"options={dict(options)!r} for a stopper that is made already.")
    made = registry.make("stopper", stopper, options) if isinstance(stopper, str) else stopper
    return TunekitPruner(cast(Stopper, made))


class TunekitSampler(optuna.samplers.BaseSampler):
    """A sampler of tunekit as one of Optuna's; see `as_optuna_sampler`."""

    def __init__(self, sampler: Sampler, *, space: Space | None, seed: int | None) -> None:
        self._sampler = sampler
        self._space = space
        self._seed = secrets.randbits(63) if seed is None else seed
        self._proposals: dict[int, tuple[Space, Params]] = {}

    def reseed_rng(self) -> None:
        """Do nothing: random streams are keyed by the trial's number."""

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return nothing: Optuna would want the objective's distributions ahead of it."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return nothing; see `sample_independent`."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        """Return the value of a point that is proposed as a whole at the first question.

        What the point does not have, or has outside of what is asked, is drawn at random.
        """
        if trial.number not in self._proposals:
            self._proposals[trial.number] = self._proposed(study, trial)
        space, point = self._proposals[trial.number]
        path = space.resolve(param_name) if _is_known(space, param_name) else param_name
        if path in point and _may_be(param_distribution, point[path]):
            return point[path]
        domain = from_optuna({param_name: param_distribution}).by_path[param_name].domain
        digest = blake2b(param_name.encode(), digest_size=8).digest()
        key = int.from_bytes(digest, "big")
        return domain.from_unit(stream(self._seed ^ key, trial.number).random())

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: OptunaState,
        values: Sequence[float] | None,
    ) -> None:
        """Forget the point of a trial that has ended."""
        self._proposals.pop(trial.number, None)

    def _proposed(self, study: Study, trial: FrozenTrial) -> tuple[Space, Params]:
        view = self._view(study, trial)
        if not len(view.space):
            return view.space, Params()
        proposal = suggested(self._sampler, view, [trial.number])[0]
        self._note(study, trial, proposal)
        return view.space, Params(proposal.params)

    def _view(self, study: Study, trial: FrozenTrial) -> StudyView:
        trials = study.get_trials(deepcopy=False)
        space = self._space or discovered(trials)
        history = history_of(study, trials, space if self._space else None)
        fixed = trial.system_attrs.get("fixed_params")
        held = {trial.number: _named(space, fixed)} if fixed else {}
        return StudyView(space, history.objectives, history.constraints, self._seed, history, held)

    @staticmethod
    def _note(study: Study, trial: FrozenTrial, proposal: Proposal) -> None:
        storage, trial_id = study._storage, trial._trial_id
        storage.set_trial_system_attr(trial_id, REASON, proposal.reason)
        if proposal.evidence:
            evidence = json.loads(json.dumps(dict(proposal.evidence)))
            storage.set_trial_system_attr(trial_id, EVIDENCE, evidence)


class TunekitPruner(optuna.pruners.BasePruner):
    """A stopper of tunekit as a pruner of Optuna; see `as_optuna_pruner`."""

    def __init__(self, stopper: Stopper) -> None:
        self._stopper = stopper

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether the trial ends now; its system attributes then say why."""
        trials = study.get_trials(deepcopy=False)
        history = history_of(study, trials, None)
        metric = history.objectives[0].metric
        reports = {t.number: reports_of(t, metric) for t in [*trials, trial]}
        view = CurveView(history.objectives, history, reports)
        with one_thread():
            decision = self._stopper.decide(trial.number, view)
        if decision.action == "continue":
            return False
        study._storage.set_trial_system_attr(trial._trial_id, STOPPED, decision.reason)
        return True


def reports_of(trial: FrozenTrial, metric: str) -> list[Report]:
    """Return what an Optuna trial has reported, by step."""
    values = sorted(trial.intermediate_values.items())
    return [Report(step, {metric: value}) for step, value in values]


def discovered(trials: Sequence[FrozenTrial]) -> Space:
    """Return the tree that the trials of a define-by-run objective speak for."""
    discovery = Discovery()
    for t in trials:
        if t.params:
            known = from_optuna(t.distributions).by_path
            domains = {name: domain_to_dict(known[name].domain) for name in t.params}
            discovery.observe(t.params, domains, is_whole=t.state is OptunaState.COMPLETE)
    return discovery.space


def history_of(study: Study, trials: Sequence[FrozenTrial], space: Space | None) -> History:
    """Return the trials of an Optuna study as tunekit's.

    Its objective is called "value", several "value0", "value1" and so on. Constraints keep
    their names, with "constraint " before them.

    Args:
        study: for its directions.
        trials: of the study.
        space: a declared tree, into which the names of the params are resolved.
    """
    n = len(study.directions)
    objectives = tuple(
        Objective(
            "value" if n == 1 else f"value{i}",
            "maximize" if d is optuna.study.StudyDirection.MAXIMIZE else "minimize",
        )
        for i, d in enumerate(study.directions)
    )
    names = sorted({name for t in trials for name in t.constraints})
    constraints = tuple(MetricConstraint(f"constraint {name}", "<=", 0.0) for name in names)
    history = History(objectives, constraints)
    # By their ends: samplers may replay them in the order in which they became known.
    order = sorted(trials, key=lambda t: (_ended(t), t.number))
    records = [_record(t, seq, objectives, space) for seq, t in enumerate(order, start=1)]
    history.update(records, len(records))
    return history


def _ended(trial: FrozenTrial) -> float:
    done = trial.datetime_complete
    return math.inf if done is None else done.timestamp()


def _record(
    trial: FrozenTrial, seq: int, objectives: Sequence[Objective], space: Space | None
) -> TrialRecord:
    values = trial.values
    if values is None and trial.state is OptunaState.PRUNED and trial.intermediate_values:
        values = [trial.intermediate_values[max(trial.intermediate_values)]]
    metrics = {o.metric: float(v) for o, v in zip(objectives, values or [], strict=False)}
    metrics |= {f"constraint {name}": float(v) for name, v in trial.constraints.items()}
    state = _STATES[trial.state]
    if state is TrialState.COMPLETE and not all(map(math.isfinite, values or [])):
        state = TrialState.DIVERGED
    started, done = trial.datetime_start, trial.datetime_complete
    return TrialRecord(
        trial.number,
        state,
        seq,
        epoch=1,
        params=_named(space, trial.params) if trial.params else None,
        evidence=trial.system_attrs.get(EVIDENCE, {}),
        metrics=metrics,
        started=None if started is None else started.timestamp(),
        finished=None if done is None else done.timestamp(),
    )


def _named(space: Space | None, params: Mapping[str, Any]) -> Params:
    """Return params by full paths, in the order of a declared space; what it lacks is dropped."""
    if space is None:
        return Params(params)
    found = {}
    for name, value in params.items():
        if _is_known(space, name):
            found[space.resolve(name)] = value
    return Params({path: found[path] for path in space.by_path if path in found})


def _is_known(space: Space, name: str) -> bool:
    try:
        space.resolve(name)
    except UnknownParameter:
        return False
    return True


def _may_be(distribution: BaseDistribution, value: Any) -> bool:
    try:
        return distribution._contains(distribution.to_internal_repr(value))
    except (ValueError, TypeError):  # no choice of a categorical, no number
        return False
