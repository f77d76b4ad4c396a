"""Loads a user's problems from an entry point, from `module:function`, or from an object."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from tunekit.bench.problem import EXPENSIVE, Problem
from tunekit.errors import InvalidArgument, TunekitError, did_you_mean
from tunekit.executors.base import Task
from tunekit.executors.results import checked_metrics
from tunekit.executors.trial import Trial
from tunekit.records import CONTINUE, ObjectiveSpec
from tunekit.spaces import Params, Space

GROUP = "tunekit.problems"
LOSS = (ObjectiveSpec("loss"),)


@dataclass(frozen=True, slots=True)
class OfTrial:
    """Adapts a `study.optimize` objective, which takes a trial, to a function of params."""

    objective: Callable[[Trial], Any]
    objectives: tuple[ObjectiveSpec, ...]
    seed: int

    def __call__(self, params: Params) -> dict[str, float]:
        """Return the objective's metrics at a point; intermediate reports are ignored."""
        task = Task("bench", 0, 1, params, self.objectives, seed=self.seed)
        return checked_metrics(
            self.objective(Trial(task, lambda report: CONTINUE)), self.objectives
        )


def names() -> list[str]:
    """Return the names of all problems in entry points of installed distributions."""
    return sorted(e.name for e in _entries())


def problems(
    source: object,
    *,
    seed: int = 0,
    space: Space | None = None,
    objectives: Sequence[ObjectiveSpec] = LOSS,
) -> list[Problem]:
    """Resolve a name or an object to its problems.

    Args:
        source: a `Problem`, a list of them, a function that returns either (called with `seed`
            if it has that parameter), or the name of one of these: an entry point in the group
            `tunekit.problems`, or `module:function`.
        seed: passed to the function to draw its instances.
        space: search space, if `source` is an objective as `study.optimize` takes it.
        objectives: objectives of that function.

    Raises:
        InvalidArgument: an unknown name, a failed import, or a source that is not a problem.
    """
    found = _named(source) if isinstance(source, str) else source
    label = source if isinstance(source, str) else getattr(source, "__name__", repr(source))
    if space is not None:
        if not callable(found) or isinstance(found, Problem):
            raise InvalidArgument(
                f"{label}: got {found!r}; with space=, expected a function that takes a trial."
            )
        given = tuple(objectives)
        evaluate = OfTrial(found, given, seed)
        return [Problem(f"own/{label}", space, evaluate, objectives=given, tags=EXPENSIVE)]
    if callable(found) and not isinstance(found, Problem):
        found = _called(label, found, seed)
    candidates: list[Any] = list(found) if isinstance(found, list | tuple) else [found]
    several = [p for p in candidates if isinstance(p, Problem)]
    if not several or len(several) < len(candidates):
        raise InvalidArgument(
            f"{label}: got {found!r}, expected a tunekit.bench.problem.Problem or a list of "
            "them; for an objective that takes a trial, also give space=."
        )
    return several


def _called(label: str, function: Callable[..., Any], seed: int) -> object:
    takes = inspect.signature(function).parameters
    needed = [
        name
        for name, p in takes.items()
        if p.default is p.empty
        and name != "seed"
        and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if needed:
        raise InvalidArgument(
            f"{label}: the function requires {', '.join(needed)}; expected one that returns "
            "problems and takes no argument but seed. For an objective that takes a trial, also "
            "give space=."
        )
    return function(seed=seed) if "seed" in takes else function()


def _named(name: str) -> object:
    """Load the object behind an entry point or `module:function`."""
    module, colon, path = name.partition(":")
    if not colon:
        entry = next((e for e in _entries() if e.name == name), None)
        if entry is None:
            raise InvalidArgument(
                f'no problem "{name}"{did_you_mean(name, names())}; expected module:function or '
                f'an entry point of group "{GROUP}"; installed: {", ".join(names()) or "none"}.'
            )
        module, path = entry.module, entry.attr
    try:
        found: Any = importlib.import_module(module)
    except TunekitError:
        raise
    except Exception as error:
        raise InvalidArgument(
            f"{name}: the import of {module} failed: {type(error).__name__}: {error}."
        ) from error
    for part in path.split("."):
        if not hasattr(found, part):
            known = [n for n in dir(found) if not n.startswith("_")]
            raise InvalidArgument(
                f'{name}: {module} has no "{part}"{did_you_mean(part, known)}; name a function '
                "that returns problems."
            )
        found = getattr(found, part)
    return found


def _entries() -> list[EntryPoint]:
    return list(entry_points(group=GROUP))
