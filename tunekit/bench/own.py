"""Problems of your own: by an entry point, by `module:function`, or as an object."""

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
    """An objective of a trial, as `study.optimize` takes it, as a function of params."""

    objective: Callable[[Trial], Any]
    objectives: tuple[ObjectiveSpec, ...]
    seed: int

    def __call__(self, params: Params) -> dict[str, float]:
        """Return what the objective returns at a point; what it reports on the way is ignored."""
        task = Task("bench", 0, 1, params, self.objectives, seed=self.seed)
        return checked_metrics(
            self.objective(Trial(task, lambda report: CONTINUE)), self.objectives
        )


def names() -> list[str]:
    """Return the names of all problems that installed distributions offer."""
    return sorted(e.name for e in _entries())


def problems(
    source: object,
    *,
    seed: int = 0,
    space: Space | None = None,
    objectives: Sequence[ObjectiveSpec] = LOSS,
) -> list[Problem]:
    """Return the problems that a name or an object stands for.

    Args:
        source: a `Problem`, several, a function that returns one or several (it is given `seed`
            if it has such a parameter), or the name of any of these: an entry point in the
            group `tunekit.problems`, or `module:function`.
        seed: draws the instances, where the function does so.
        space: makes an objective of a trial, as `study.optimize` takes it, a problem.
        objectives: of that objective.

    Raises:
        InvalidArgument: no such name, an import that fails, or something else than problems.
    """
    found = _named(source) if isinstance(source, str) else source
    label = source if isinstance(source, str) else getattr(source, "__name__", repr(source))
    if space is not None:
        if not callable(found) or isinstance(found, Problem):
            raise InvalidArgument(
                f"{label}: it is {found!r}; with space=, expected a function of a trial."
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
            f"{label}: it gave {found!r}, expected a tunekit.bench.problem.Problem or a list of "
            "them; for an objective of a trial give its space, too."
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
            f"{label}: it needs {', '.join(needed)}; expected a function without arguments (or "
            "with seed) that returns problems. For an objective of a trial give its space, too."
        )
    return function(seed=seed) if "seed" in takes else function()


def _named(name: str) -> object:
    """Return what an entry point or `module:function` names."""
    module, colon, path = name.partition(":")
    if not colon:
        entry = next((e for e in _entries() if e.name == name), None)
        if entry is None:
            raise InvalidArgument(
                f'no problem "{name}"{did_you_mean(name, names())}; expected module:function or '
                f'an entry point of group "{GROUP}"; there are: {", ".join(names()) or "none"}.'
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
