"""Runs tunekit's samplers and stoppers inside an Optuna study.

`optuna.create_study(sampler=as_optuna_sampler("bayesian"), pruner=as_optuna_pruner("median"))`.
For Optuna's samplers in a tunekit study, use `tk.study(sampler="optuna", stopper="optuna")`.
"""

from __future__ import annotations

import json
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
from tunekit.errors import InvalidArgument
from tunekit.records import Proposal
from tunekit.samplers.base import Sampler, StudyView, suggested
from tunekit.samplers.random_streams import stream
from tunekit.samplers.threads import one_thread
from tunekit.spaces import Params, Space
from tunekit.spaces.interop import from_optuna
from tunekit.stoppers.base import CurveView, Stopper
from tunekit_integrations.optuna_history import (
    EVIDENCE,
    REASON,
    OptunaReader,
    history_of,
    is_known,
    named,
)

__all__ = [
    "EVIDENCE",
    "REASON",
    "STOPPED",
    "TunekitPruner",
    "TunekitSampler",
    "as_optuna_pruner",
    "as_optuna_sampler",
    "history_of",
]

STOPPED = "tunekit:stopped"
"""System attribute of an Optuna trial that holds the pruner's reason."""


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
        space: declared search space; the objective then asks by full or by unique short names.
            By default, the space is discovered from the trials' `suggest` calls.
        seed: seed of all random streams; by default a new one each time.
        options: keyword arguments of the sampler, if given by short name.

    Raises:
        InvalidArgument: unknown sampler or options.
    """
    if not isinstance(sampler, str) and options:
        raise InvalidArgument(
            f"options={dict(options)!r} given with a sampler instance; set them when you make "
            "the instance, or give a short name."
        )
    made = registry.make("sampler", sampler, options) if isinstance(sampler, str) else sampler
    return TunekitSampler(cast(Sampler, made), space=space, seed=seed)


def as_optuna_pruner(
    stopper: str | Stopper, *, options: Mapping[str, Any] | None = None
) -> TunekitPruner:
    """Return a pruner for `optuna.create_study`; Optuna cannot pause, so a pause ends the trial.

    Raises:
        InvalidArgument: unknown stopper or options.
    """
    if not isinstance(stopper, str) and options:
        raise InvalidArgument(
            f"options={dict(options)!r} given with a stopper instance; set them when you make "
            "the instance, or give a short name."
        )
    made = registry.make("stopper", stopper, options) if isinstance(stopper, str) else stopper
    return TunekitPruner(cast(Stopper, made))


class TunekitSampler(optuna.samplers.BaseSampler):
    """Adapts a tunekit sampler to Optuna; see `as_optuna_sampler`."""

    def __init__(self, sampler: Sampler, *, space: Space | None, seed: int | None) -> None:
        self._sampler = sampler
        self._reader = OptunaReader(space)
        self._seed = secrets.randbits(63) if seed is None else seed
        self._proposals: dict[int, tuple[Space, Params]] = {}

    def reseed_rng(self) -> None:
        """Do nothing, since the trial number keys the random streams."""

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return an empty space; Optuna's relative sampling needs all distributions in advance."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return no values; see `sample_independent`."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        """Return one value of a point; the first call of a trial proposes the whole point.

        A parameter missing from the point, or outside the requested range, is drawn at random.
        """
        if trial.number not in self._proposals:
            with self._reader.lock:
                self._proposals[trial.number] = self._proposed(study, trial)
        space, point = self._proposals[trial.number]
        path = space.resolve(param_name) if is_known(space, param_name) else param_name
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
        """Discard the point of a finished trial."""
        self._proposals.pop(trial.number, None)

    def _proposed(self, study: Study, trial: FrozenTrial) -> tuple[Space, Params]:
        view = self._view(study, trial)
        if not len(view.space):
            return view.space, Params()
        proposal = suggested(self._sampler, view, [trial.number])[0]
        self._note(study, trial, proposal)
        return view.space, Params(proposal.params)

    def _view(self, study: Study, trial: FrozenTrial) -> StudyView:
        history = self._reader.read(study, study.get_trials(deepcopy=False))
        space = self._reader.space
        fixed = trial.system_attrs.get("fixed_params")
        held = {trial.number: named(space, fixed)} if fixed else {}
        return StudyView(space, history.objectives, history.constraints, self._seed, history, held)

    @staticmethod
    def _note(study: Study, trial: FrozenTrial, proposal: Proposal) -> None:
        storage, trial_id = study._storage, trial._trial_id
        storage.set_trial_system_attr(trial_id, REASON, proposal.reason)
        if proposal.evidence:
            evidence = json.loads(json.dumps(dict(proposal.evidence)))
            storage.set_trial_system_attr(trial_id, EVIDENCE, evidence)


class TunekitPruner(optuna.pruners.BasePruner):
    """Adapts a tunekit stopper to Optuna; see `as_optuna_pruner`."""

    def __init__(self, stopper: Stopper) -> None:
        self._stopper = stopper
        self._reader = OptunaReader()

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Decide whether the trial ends now, and store the reason in its system attributes."""
        with self._reader.lock:
            history = self._reader.read(study, study.get_trials(deepcopy=False))
            self._reader.read_reports(trial)
            view = CurveView(history.objectives, history, self._reader.reports)
            with one_thread():
                decision = self._stopper.decide(trial.number, view)
        if decision.action == "continue":
            return False
        study._storage.set_trial_system_attr(trial._trial_id, STOPPED, decision.reason)
        return True


def _may_be(distribution: BaseDistribution, value: Any) -> bool:
    try:
        return distribution._contains(distribution.to_internal_repr(value))
    except (ValueError, TypeError):  # an unknown choice, or not a number
        return False
