"""Resolves short names of components lazily, importing nothing before its first use.

Other distributions add theirs with entry points in the groups `tunekit.samplers`,
`tunekit.stoppers`, `tunekit.storages`, `tunekit.executors` and `tunekit.knob_targets`: a name and
a factory. The factory of a sampler or stopper takes the user's options. That of a storage, whose
name is its URL scheme, takes `(url, *, must_exist)`. That of an executor takes
`(workers, limits, devices)`, each of which may be `None` or empty. That of a database server to
tune, whose name is its URL scheme, takes `(url_or_name, **options)`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Mapping
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any, Literal, TypeAlias

from tunekit.errors import InvalidArgument, did_you_mean

Kind: TypeAlias = Literal["sampler", "stopper", "storage", "executor", "knob_target"]

_BUILT_IN: dict[Kind, dict[str, tuple[str, Mapping[str, Any]]]] = {
    "sampler": {
        "auto": ("tunekit.samplers.auto:AutoSampler", {}),
        "bayesian": ("tunekit.samplers.bayesian.sampler:BayesianSampler", {}),
        "botorch": ("tunekit.samplers.botorch.sampler:BoTorchSampler", {}),
        "racing": ("tunekit.samplers.racing.sampler:RacingSampler", {}),
        "pbt": ("tunekit.samplers.pbt:PbtSampler", {}),
        "random": ("tunekit.samplers.random:RandomSampler", {}),
        "sobol": ("tunekit.samplers.sobol:SobolSampler", {}),
        "mcts": ("tunekit.samplers.mcts.variants:mcts_sampler", {}),
        "smbo": ("tunekit.samplers.smbo:DeepArchitectSmbo", {}),
        "coordinate": ("tunekit.samplers.coordinate.sampler:CoordinateSampler", {}),
        "llm": ("tunekit.samplers.llm.sampler:LLMSampler", {}),
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
        "auto": ("tunekit.stoppers.second_look:SecondLookStopper", {}),
        "second_look": ("tunekit.stoppers.second_look:SecondLookStopper", {}),
        "asha": ("tunekit.stoppers.asha:AshaStopper", {}),
        "hyperband": ("tunekit.stoppers.hyperband:HyperbandStopper", {}),
        "fast": ("tunekit.stoppers.second_look:SecondLookStopper", {"share": 0.5}),
        "pbt": ("tunekit.stoppers.pbt:PbtStopper", {}),
        "curve": ("tunekit.stoppers.curves.curve:CurveStopper", {}),
        "early_dynamics": ("tunekit.stoppers.curves.early_dynamics:EarlyDynamicsStopper", {}),
        "median": ("tunekit.stoppers.median:MedianStopper", {}),
        "patience": ("tunekit.stoppers.patience:PatienceStopper", {}),
        "threshold": ("tunekit.stoppers.threshold:ThresholdStopper", {}),
        "first": ("tunekit.stoppers.any_of:FirstStopper", {}),
        "optuna": ("tunekit.stoppers.optuna_pruner:OptunaPrunerStopper", {}),
    },
    "storage": {
        "memory": ("tunekit.storages.urls:open_memory", {}),
        "sqlite": ("tunekit.storages.urls:open_sql", {}),
        "postgresql": ("tunekit.storages.urls:open_sql", {}),
        "postgres": ("tunekit.storages.urls:open_sql", {}),
        "http": ("tunekit.storages.http.urls:open_http", {}),
        "https": ("tunekit.storages.http.urls:open_http", {}),
    },
    "executor": {
        "inline": ("tunekit.executors.choose:make_inline", {}),
        "process": ("tunekit.executors.choose:make_process", {}),
        "ray": ("tunekit.executors.choose:make_ray", {}),
    },
    "knob_target": {
        "sqlite": ("tunekit_integrations.dbms.sqlite.target:open_sqlite", {}),
        "mariadb": ("tunekit_integrations.dbms.mariadb.target:open_mariadb", {}),
        "mysql": ("tunekit_integrations.dbms.mariadb.target:open_mariadb", {}),
        "postgresql": ("tunekit_integrations.dbms.postgresql.target:open_postgresql", {}),
        "postgres": ("tunekit_integrations.dbms.postgresql.target:open_postgresql", {}),
    },
}


_refuses_foreign_code = False


def refuse_foreign_code() -> None:
    """Let this process use tunekit's own components only, from now on.

    Entry points are not seen any more, and an option that names a module to import is refused.
    """
    global _refuses_foreign_code
    _refuses_foreign_code = True


def named_module(name: str) -> ModuleType:
    """Return a module that a user's option names.

    Raises:
        ImportError: there is no such module.
        InvalidArgument: this process runs no code of users.
    """
    if _refuses_foreign_code:
        raise InvalidArgument(
            f'the module "{name}" is code of a user, which this service does not run; run the '
            "study from Python with storage= and the URL of the service, so that its sampler "
            "works in your process."
        )
    return import_module(name)


def check_requests_allowed(purpose: str) -> None:
    """Check that this process may send requests to addresses that a study names.

    Raises:
        InvalidArgument: it works for several users, who could reach its network through it.
    """
    if _refuses_foreign_code:
        raise InvalidArgument(
            f"{purpose}: this service sends no requests to addresses that a study names; run the "
            "study from Python with storage= and the URL of the service, so that its sampler "
            "works in your process."
        )


def is_built_in(kind: Kind, name: str) -> bool:
    """Return whether a short name belongs to a component of tunekit itself."""
    return name in _BUILT_IN[kind]


def names(kind: Kind) -> list[str]:
    """Return all short names of a kind, including those of other distributions."""
    return sorted({*_BUILT_IN[kind], *(e.name for e in _foreign(kind))})


def is_name(kind: Kind, name: str) -> bool:
    """Return whether a component of this kind has the short name."""
    return name in _BUILT_IN[kind] or name in names(kind)  # entry points are slow to read


def find(kind: Kind, name: str) -> Callable[..., Any]:
    """Return the factory of a short name.

    Raises:
        InvalidArgument: the name is unknown.
        MissingExtra: the component needs a package that is not installed.
    """
    if name in _BUILT_IN[kind]:
        target, preset = _BUILT_IN[kind][name]
        module, _, attribute = target.partition(":")
        return partial(getattr(import_module(module), attribute), **preset)
    entry = next((e for e in _foreign(kind) if e.name == name), None)
    if entry is None:
        known = names(kind)
        raise InvalidArgument(
            f'unknown {kind} "{name}"{did_you_mean(name, known)}; expected one of '
            f"{', '.join(known)}."
        )
    factory: Callable[..., Any] = entry.load()
    return factory


def make(kind: Kind, name: str, options: Mapping[str, Any] | None = None) -> Any:
    """Return a new component by its short name.

    Raises:
        InvalidArgument: the name is unknown, or the component does not accept an option.
        MissingExtra: the component needs a package that is not installed.
    """
    factory = find(kind, name)
    if kind == "sampler" and options and "priors" in options:
        return _with_priors(name, factory, options)
    return _made(kind, name, factory, options)


def _with_priors(name: str, factory: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """Return a sampler with priors, which it takes itself or is given."""
    believing = import_module("tunekit.samplers.believing")
    if believing.takes_priors(factory):
        return _made("sampler", name, factory, options)
    believing.refuse_grid(name)
    beliefs = {k: options[k] for k in believing.OPTIONS if k in options}
    rest = {k: v for k, v in options.items() if k not in beliefs}
    return believing.BelievingSampler(sampler=_made("sampler", name, factory, rest), **beliefs)


def _made(
    kind: Kind, name: str, factory: Callable[..., Any], options: Mapping[str, Any] | None
) -> Any:
    check_options(f'{kind} "{name}"', factory, options or {})
    try:
        return factory(**(options or {}))
    except TypeError as error:
        raise InvalidArgument(
            f'{kind} "{name}": {error}; options given: {", ".join(options or {}) or "none"}.'
        ) from None


def check_options(
    what: str,
    factory: Callable[..., Any],
    options: Mapping[str, Any],
    *,
    without: Container[str] = (),
) -> None:
    """Check that a component accepts the options, and that none which it needs is missing.

    Args:
        what: the component, as an error names it.
        factory: makes it.
        options: by name.
        without: parameters that are not options.

    Raises:
        InvalidArgument: an option is unknown or missing.
    """
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # written in C, without a signature
        return
    by_name = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    known = {p.name: p.default is p.empty for p in by_name if p.name not in without}
    there = f"there are {', '.join(known)}" if known else "it takes none"
    is_open = any(p.kind is p.VAR_KEYWORD for p in parameters)
    unknown = [option for option in options if option not in known]
    if unknown and not is_open:
        hint = did_you_mean(str(unknown[0]), list(known))
        raise InvalidArgument(f'{what}: unknown option "{unknown[0]}"{hint}; {there}.')
    missing = [
        option for option, is_needed in known.items() if is_needed and option not in options
    ]
    if missing:
        raise InvalidArgument(f'{what}: the option "{missing[0]}" is missing; {there}.')


def _foreign(kind: Kind) -> list[Any]:
    if _refuses_foreign_code:
        return []
    from importlib.metadata import entry_points

    return list(entry_points(group=f"tunekit.{kind}s"))
