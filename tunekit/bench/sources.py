"""Describes sources of problems as values that can be sent to worker processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from tunekit.bench.problem import Problem
from tunekit.errors import InvalidArgument


class ProblemSource(Protocol):
    """A set of problems; hashable, and picklable so that each worker process can rebuild it."""

    @property
    def seed(self) -> int:
        """Return the seed for the problems' shifts, permutations and optima."""
        ...

    @property
    def variant(self) -> str:
        """Return a text that distinguishes problems of equal name and seed."""
        ...

    def problems(self) -> Sequence[Problem]:
        """Return all problems, the same in every process."""
        ...

    def __hash__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class SuiteSource:
    """A named suite with the seed of its instances.

    Attributes:
        options: keyword arguments of the suite, as (name, value) pairs.
    """

    name: str
    seed: int = 0
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def variant(self) -> str:
        """Return the options as a text, without the data path."""
        return ",".join(f"{key}={value}" for key, value in self.options if key != "data")

    def problems(self) -> Sequence[Problem]:
        """Return the problems of the suite."""
        from tunekit.bench.suites import suite

        return suite(self.name, seed=self.seed, **dict(self.options))


@lru_cache
def problems_of(source: ProblemSource) -> dict[str, Problem]:
    """Return the problems of a source by name, built once per process.

    Raises:
        InvalidArgument: the source has no problems, or two of the same name.
    """
    found: dict[str, Problem] = {}
    for problem in source.problems():
        if problem.name in found:
            raise InvalidArgument(f'Two problems have the name "{problem.name}"; rename one.')
        found[problem.name] = problem
    if not found:
        raise InvalidArgument(f"{source} has no problems; expected one or more.")
    return found
