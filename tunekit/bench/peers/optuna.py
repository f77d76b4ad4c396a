"""Runs Optuna as its users do, with a define-by-run objective over the tree."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import optuna
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    NSGAIISampler,
    RandomSampler,
    TPESampler,
)
from optuna.study import StudyDirection

from tunekit.bench.peers.base import Setting, point_key
from tunekit.errors import InvalidArgument
from tunekit.samplers.optuna_bridge.codec import Codec
from tunekit.spaces import Params, Space, walk

if TYPE_CHECKING:
    from optuna.trial import Trial


def _auto(*, registry: str | None = None, **options: Any) -> BaseSampler:
    """Load OptunaHub's AutoSampler from a local copy of the registry, or from the network."""
    import optunahub

    name = "samplers/auto_sampler"
    if registry is None:
        module = optunahub.load_module(name)
    else:
        module = optunahub.load_local_module(name, registry_root=registry)
    found: BaseSampler = module.AutoSampler(**options)
    return found


KINDS: Mapping[str, tuple[Callable[..., BaseSampler], Mapping[str, Any]]] = {
    "random": (RandomSampler, {}),
    "tpe": (TPESampler, {}),
    "tpe-group": (TPESampler, {"multivariate": True, "group": True}),
    "gp": (GPSampler, {}),
    "cmaes": (CmaEsSampler, {}),
    "nsgaii": (NSGAIISampler, {}),
    "auto": (_auto, {}),
}


class OptunaPeer:
    """Runs one Optuna study.

    Args:
        space: search space; each decision in the tree becomes one `suggest` call.
        setting: seed and budget of the run.
        kind: one of `KINDS`.
        options: keyword arguments of the sampler.

    Raises:
        InvalidArgument: the sampler rejects the options.
    """

    def __init__(self, space: Space, setting: Setting, *, kind: str, **options: Any) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        make, preset = KINDS[kind]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                sampler = make(seed=setting.seed, **{**preset, **options})
            except (TypeError, ValueError) as error:
                raise InvalidArgument(f"optuna-{kind}: {error}.") from None
        # losses, of which less is better, whatever the direction of the objectives
        directions = [StudyDirection.MINIMIZE] * len(setting.objectives)
        self._study = optuna.create_study(sampler=sampler, directions=directions)
        self._space = space
        self._codec = Codec(space)
        self._running: dict[str, list[Trial]] = defaultdict(list)
        if setting.first is not None:
            self._study.enqueue_trial(self._codec.told(setting.first)[0])

    def ask(self) -> Params:
        """Propose the point of a new trial."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trial = self._study.ask()
            point = walk(self._space, lambda p, _: self._codec.ask(trial, p))
        self._running[point_key(point)].append(trial)
        return point

    def tell(self, params: Params, loss: float | None) -> None:
        """Complete the oldest running trial at a point."""
        trial = self._running[point_key(params)].pop(0)
        if loss is None:
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(trial, loss)

    def tell_metrics(
        self, params: Params, losses: Sequence[float] | None, slacks: Mapping[str, float]
    ) -> None:
        """Complete the oldest running trial at a point with all losses and constraints."""
        trial = self._running[point_key(params)].pop(0)
        if losses is None:
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
            return
        for name, value in slacks.items():
            trial.set_constraint(name, value)
        self._study.tell(trial, list(losses))

    def observe(self, params: Params, loss: float) -> None:
        """Add a finished trial."""
        told, distributions = self._codec.told(params)
        self._study.add_trial(
            optuna.trial.create_trial(params=told, distributions=distributions, value=loss)
        )
