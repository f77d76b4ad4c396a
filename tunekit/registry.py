"""Short names of the parts, resolved late: nothing is imported before it is asked for.

Other distributions add theirs with entry points in the groups `tunekit.samplers` and
`tunekit.stoppers`: a name and a class (or a callable that gives an instance).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Literal, TypeAlias

from tunekit.errors import InvalidArgument, did_you_mean

Kind: TypeAlias = Literal["sampler", "stopper"]

_BUILT_IN: dict[Kind, dict[str, tuple[str, Mapping[str, Any]]]] = {
    "sampler": {
        "auto": ("tunekit.samplers.auto:AutoSampler", {}),
        "bayesian": ("tunekit.samplers.bayesian.sampler:BayesianSampler", {}),
        "racing": ("tunekit.samplers.racing.sampler:RacingSampler", {}),
        "pbt": ("tunekit.samplers.pbt:PbtSampler", {}),
        "random": ("tunekit.samplers.random:RandomSampler", {}),
        "sobol": ("tunekit.samplers.sobol:SobolSampler", {}),
        "mcts": ("tunekit.samplers.mcts.variants:mcts_sampler", {}),
        "smbo": ("tunekit.samplers.smbo:DeepArchitectSmbo", {}),
        "grid": ("tunekit.samplers.grid:GridSampler", {}),
        "optuna": ("tunekit.samplers.optuna_bridge.sampler:OptunaSampler", {}),
        "tpe": ("tunekit.samplers.optuna_bridge.sampler:OptunaSampler", {"name": "tpe"}),
        "gp": ("tunekit.samplers.optuna_bridge.sampler:OptunaSampler", {"name": "gp"}),
        "cmaes": ("tunekit.samplers.evolutionary.cmaes:CmaEsSampler", {}),
        "evolution": ("tunekit.samplers.evolutionary.evolution:EvolutionSampler", {}),
        "proxy": ("tunekit.samplers.proxy:ProxySampler", {}),
        "nsgaii": ("tunekit.samplers.optuna_bridge.sampler:OptunaSampler", {"name": "nsgaii"}),
        "nsgaiii": ("tunekit.samplers.optuna_bridge.sampler:OptunaSampler", {"name": "nsgaiii"}),
    },
    "stopper": {
        "auto": ("tunekit.stoppers.asha:AshaStopper", {}),
        "asha": ("tunekit.stoppers.asha:AshaStopper", {}),
        "hyperband": ("tunekit.stoppers.hyperband:HyperbandStopper", {}),
        "fast": ("tunekit.stoppers.fast:FastStopper", {}),
        "pbt": ("tunekit.stoppers.pbt:PbtStopper", {}),
        "curve": ("tunekit.stoppers.curves.curve:CurveStopper", {}),
        "early_dynamics": ("tunekit.stoppers.curves.early_dynamics:EarlyDynamicsStopper", {}),
        "median": ("tunekit.stoppers.median:MedianStopper", {}),
        "patience": ("tunekit.stoppers.patience:PatienceStopper", {}),
        "threshold": ("tunekit.stoppers.threshold:ThresholdStopper", {}),
        "first": ("tunekit.stoppers.any_of:FirstStopper", {}),
        "optuna": ("tunekit.stoppers.optuna_pruner:OptunaPrunerStopper", {}),
    },
}


def names(kind: Kind) -> list[str]:
    """Return all short names of a kind, those of other distributions included."""
    return sorted({*_BUILT_IN[kind], *(e.name for e in _foreign(kind))})


def make(kind: Kind, name: str, options: Mapping[str, Any] | None = None) -> Any:
    """Return a new part by its short name.

    Raises:
        InvalidArgument: no such name, or options that the part does not take.
        MissingExtra: the part needs a package that is not installed.
    """
    if name in _BUILT_IN[kind]:
        target, preset = _BUILT_IN[kind][name]
        module, _, attribute = target.partition(":")
        factory = partial(getattr(import_module(module), attribute), **preset)
    else:
        entry = next((e for e in _foreign(kind) if e.name == name), None)
        if entry is None:
            known = names(kind)
            raise InvalidArgument(
                f'unknown {kind} "{name}"{did_you_mean(name, known)}; '
                f"there are {', '.join(known)}."
            )
        factory = entry.load()
    try:
        return factory(**(options or {}))
    except TypeError as error:
        raise InvalidArgument(
            f'{kind} "{name}": {error}; options given: {", ".join(options or {}) or "none"}.'
        ) from None


def _foreign(kind: Kind) -> list[Any]:
    return list(entry_points(group=f"tunekit.{kind}s"))
