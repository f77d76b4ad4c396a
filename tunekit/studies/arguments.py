"""Checks the arguments of a study or a run before anything starts."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from tunekit.checks import above_zero, count, is_whole, seconds, several, shown
from tunekit.driver.run_settings import Goal, Settings
from tunekit.errors import InvalidArgument
from tunekit.executors.base import Limits
from tunekit.spaces.domains import plain

Called = TypeVar("Called", bound=Callable[..., Any])


def one_of(first: Any, second: Any, names: tuple[str, str]) -> Any:
    """Return the argument given under one of two names.

    Raises:
        InvalidArgument: both were given.
    """
    if first is not None and second is not None:
        raise InvalidArgument(
            f"{names[0]}={shown(first)} and {names[1]}={shown(second)} mean the same; give one "
            "of them."
        )
    return second if first is None else first


def jobs(n_jobs: int | None) -> int | None:
    """Return the workers for Optuna's `n_jobs`, where -1 is one for each processor.

    Raises:
        InvalidArgument: it is 0, or below -1, or no whole number.
    """
    if n_jobs is None or (isinstance(n_jobs, int) and n_jobs >= 1 and n_jobs is not True):
        return n_jobs
    if is_whole(n_jobs) and n_jobs == -1:
        return os.cpu_count() or 1
    raise InvalidArgument(
        f"n_jobs={shown(n_jobs)}, expected a whole number from 1, or -1 for all."
    )


def goal(n_trials: int | None, total_trials: int | None, timeout: float | str | None) -> Goal:
    """Return when a run is over.

    Raises:
        InvalidArgument: a number or a time that cannot be right.
    """
    return Goal(count(n_trials, "n_trials"), count(total_trials, "total_trials"), seconds(timeout))


def function(objective: Called) -> Called:
    """Return an objective.

    Raises:
        InvalidArgument: it cannot be called.
    """
    if not callable(objective):
        raise InvalidArgument(
            f"objective: got {shown(objective)}, expected a function of a trial."
        )
    return objective


def settings(catch: object, lease_s: object, max_failed_trials: int | None) -> Settings:
    """Return how a run behaves.

    Raises:
        InvalidArgument: one of them cannot be right.
    """
    most = count(max_failed_trials, "max_failed_trials")
    return Settings(exceptions(catch), above_zero(lease_s, "lease_s"), most)


def trial_limits(
    resources: Mapping[str, float] | None, timeout_s: float | None, memory_mib: float | None
) -> Limits:
    """Return what one trial may use.

    Raises:
        InvalidArgument: a limit is not a finite number above 0, or resources have no names.
    """
    is_named = isinstance(resources, Mapping) and all(isinstance(k, str) for k in resources)
    if resources is not None and not is_named:
        raise InvalidArgument(
            f'resources={shown(resources)}, expected amounts by name, such as {{"gpu": 1}}.'
        )
    return Limits(
        {k: above_zero(v, f"resource {k}") for k, v in (resources or {}).items()},
        None if timeout_s is None else above_zero(timeout_s, "trial_timeout_s"),
        None if memory_mib is None else above_zero(memory_mib, "memory_mib"),
    )


def exceptions(catch: object) -> tuple[type[BaseException], ...]:
    """Return the classes of exceptions for one class or several.

    Raises:
        InvalidArgument: anything else.
    """
    found = several(catch, is_one=isinstance(catch, type | str))
    if all(isinstance(c, type) and issubclass(c, BaseException) for c in found):
        return found
    raise InvalidArgument(
        f"catch={shown(catch)}, expected exception classes, such as (ValueError,), or () to catch "
        "nothing."
    )


def functions(callbacks: Called | Sequence[Called] | None) -> tuple[Called, ...]:
    """Return the callbacks for one function or several.

    Raises:
        InvalidArgument: one of them cannot be called.
    """
    if callbacks is None:  # as in Optuna
        return ()
    found = several(callbacks, is_one=callable(callbacks))
    if all(map(callable, found)):
        return found
    raise InvalidArgument(
        f"callbacks={shown(callbacks)}, expected functions, such as [on_trial], each called as "
        "callback(study, trial)."
    )


def reason_text(value: object) -> str:
    """Return the reason of an end, or of a resumption.

    Raises:
        InvalidArgument: it is not text.
    """
    if isinstance(value, str):
        return value
    raise InvalidArgument(f"reason={shown(value)}, expected a sentence.")


def json_mapping(value: object, name: str) -> dict[str, Any]:
    """Return a mapping of texts to plain JSON; empty for `None`.

    Raises:
        InvalidArgument: `value` is anything else.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidArgument(
            f'{name}={shown(value)}, expected values by name; give a mapping, e.g. {{"a": 1}}.'
        )
    functions_in = [(key, v) for key, v in value.items() if callable(v)]
    if functions_in and name.endswith("_options"):
        where, given = functions_in[0]
        raise InvalidArgument(
            f"{name}: {where} is {_shown_function(given)}, and a study keeps no functions; name "
            f"it, such as {_target_of(given)}, where the option takes a name (proxy does), or "
            "give the sampler or stopper as an object."
        )
    try:
        json.dumps(dict(value), default=plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(
            f"{name}: {error}, expected plain JSON (numbers, texts, booleans, None, lists, "
            "mappings); convert it first."
        ) from None
    return dict(value)


def _shown_function(given: Any) -> str:
    return f"the function {getattr(given, '__qualname__', type(given).__name__)}"


def _target_of(given: Any) -> str:
    """Return the text that names a function, or one that would if it were in a module."""
    module, name = getattr(given, "__module__", ""), getattr(given, "__qualname__", "")
    importable = module and module != "__main__" and name and "<" not in name
    return f'"{module}:{name}"' if importable else '"module:function"'
