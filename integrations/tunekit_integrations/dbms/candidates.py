"""Turns points of a search space into changes of a server, and classifies them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from tunekit.errors import InvalidParams
from tunekit.spaces import Float, Int, Params, Scalar, Space, walk
from tunekit.spaces.parameters import Parameter
from tunekit_integrations.dbms.catalogue import UNITS, Catalogue, Knob
from tunekit_integrations.dbms.records import ApplyMode, InForce, Settings, Value

_PLANNER: Mapping[str, tuple[str, ...]] = {
    "postgresql": (
        "enable_*", "seq_page_cost", "random_page_cost", "cpu_*_cost", "parallel_setup_cost",
        "parallel_tuple_cost", "effective_cache_size", "*_collapse_limit", "geqo*",
        "min_parallel_*_scan_size", "cursor_tuple_fraction", "constraint_exclusion",
        "plan_cache_mode", "recursive_worktable_factor", "jit*",
    ),
    "mariadb": ("optimizer_*",),
    "mysql": ("optimizer_*",),
    "simulated": ("random_page_cost",),
}  # fmt: skip
"""Knobs that change which plan is chosen, or how it is compiled, and nothing else."""

_LOG_OF_CHANGES = (
    "*wal*", "checkpoint_*", "full_page_writes", "innodb_log_*", "innodb_redo_*",
    "innodb_flush_log_*", "innodb_max_dirty_*",
)  # fmt: skip
"""Knobs that decide how long a server recovers after a crash."""


def changes_of(params: Mapping[str, Scalar], in_force: Mapping[str, InForce]) -> dict[str, Value]:
    """Return the knobs of a point that differ from what is in force."""
    values = {path.rpartition(".")[2]: value for path, value in params.items()}
    return {
        k: v
        for k, v in values.items()
        if k in in_force and v is not None and not in_force[k].is_same(v)
    }


def point_with(space: Space, wanted: Settings) -> Params | None:
    """Return the default point with these knobs moved, as far as their ranges go.

    A value beyond a range becomes the end of it, a knob that is not searched is left out, and so
    is, from the last one on, what breaks a constraint. `None` where nothing is left.
    """
    kept = dict(wanted)
    while kept:
        point = walk(space, _picker(kept))
        if not space.violated(point):
            return space.validate(point)
        kept.popitem()
    return None


def is_of_the_planner(system: str, names: Iterable[str]) -> bool:
    """Return whether knobs only choose plans, so that equal plans mean equal work."""
    patterns = _PLANNER.get(system, ())
    return all(any(fnmatchcase(name, p) for p in patterns) for name in names)


def touches_recovery(names: Iterable[str]) -> bool:
    """Return whether knobs decide how long a server recovers after a crash."""
    return any(fnmatchcase(name, p) for name in names for p in _LOG_OF_CHANGES)


def restarting(settings: Settings, in_force: Mapping[str, InForce]) -> list[str]:
    """Return the knobs that take a restart."""
    return [k for k in settings if in_force[k].mode is ApplyMode.RESTART]


def losses(settings: Settings, catalogue: Catalogue) -> dict[str, str]:
    """Return the opened durability knobs among settings, with what can be lost by them."""
    return {k: catalogue.knobs[k].loss for k in settings if catalogue.knobs[k].loss}


def shown_value(knob: Knob, value: Value) -> str:
    """Return a value as a person writes it: "128 MB", "5 min", "on", "4"."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return value
    if not knob.unit or value in knob.special or value < 0:
        return f"{value:.6g}" if isinstance(value, float) else str(value)
    size = value * UNITS[knob.unit]
    family = ("B", "kB", "MB", "GB", "TB")
    scale = family if knob.unit in family else ("us", "ms", "s", "min")
    unit = next((u for u in reversed(scale) if size >= UNITS[u]), knob.unit)
    return f"{size / UNITS[unit]:.4g} {unit}"


def settings_text(settings: Settings, catalogue: Catalogue) -> str:
    """Return settings in one line, as a person writes them."""
    return ", ".join(f"{k} = {shown_value(catalogue.knobs[k], v)}" for k, v in settings.items())


def _picker(wanted: Settings) -> Any:
    def pick(parameter: Parameter, _: Mapping[str, Scalar]) -> Scalar:
        name = parameter.path.rpartition(".")[2]
        domain = parameter.domain
        if name not in wanted:
            return domain.default_value()
        value: Any = wanted[name]
        if isinstance(domain, Int | Float) and value not in domain.special:
            value = min(max(value, domain.lo), domain.hi)
        try:
            return domain.validate(value, parameter.path)
        except InvalidParams:
            return domain.default_value()

    return pick
