"""Problems named on the command line: suites with options, and functions that give problems."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from tunekit.cli.targets import load
from tunekit.errors import InvalidArgument

if TYPE_CHECKING:
    from tunekit.bench.problem import Problem
    from tunekit.bench.sources import Source


@dataclass(frozen=True, slots=True)
class TargetSource:
    """The problems that a function (or a name in a module) of the user gives.

    Attributes:
        target: `file.py:name` or `module:name` of a `Problem`, of a list of problems, or of a
            function that returns either and may take the `seed`.
        folder: that file and module are looked up in.
    """

    target: str
    folder: str
    seed: int = 0

    @property
    def variant(self) -> str:
        """Return nothing: the names that the user gives tell problems apart."""
        return ""

    def problems(self) -> Sequence[Problem]:
        """Return the problems.

        Raises:
            InvalidArgument: it is something else.
        """
        from tunekit.bench.problem import Problem

        found = load(self.target, self.folder)
        if callable(found):
            takes_seed = "seed" in inspect.signature(found).parameters
            found = found(seed=self.seed) if takes_seed else found()
        found = [found] if isinstance(found, Problem) else found
        if not isinstance(found, list | tuple) or not all(isinstance(p, Problem) for p in found):
            raise InvalidArgument(
                f"{self.target} gives {found!r}; expected a tunekit.bench.problem.Problem or a "
                "list of them."
            )
        return list(found)


@dataclass(frozen=True, slots=True)
class Only:
    """The problems of another source whose names match one of some patterns."""

    source: Source
    patterns: tuple[str, ...]

    @property
    def seed(self) -> int:
        """Return the seed of the other source."""
        return self.source.seed

    @property
    def variant(self) -> str:
        """Return that of the other source."""
        return self.source.variant

    def problems(self) -> Sequence[Problem]:
        """Return the matching problems, of which there may be none."""
        return [
            p
            for p in self.source.problems()
            if any(fnmatchcase(p.name, pattern) for pattern in self.patterns)
        ]


def sources_named(
    suites: Sequence[str],
    targets: Sequence[str],
    *,
    seeds: Sequence[int],
    folder: str,
    yahpo_data: str | None,
    only: Sequence[str],
) -> tuple[Source, ...]:
    """Return the sources for what the command line names.

    Args:
        suites: texts such as `"trees"` or `"trees:jenatton_depth=6"`.
        targets: texts such as `"problems.py:mine"`.
        seeds: of the instances; every source is there once for each.
        folder: that targets are looked up in.
        yahpo_data: the folder with the scenarios of YAHPO.
        only: patterns of problem names; all problems if empty.

    Raises:
        InvalidArgument: no such suite or target, or no problem matches.
    """
    from tunekit.bench.contenders import parse_options
    from tunekit.bench.sources import SuiteSource, problems_of

    found: list[Source] = []
    for seed in seeds:
        for text in suites:
            name, options = parse_options(text, "suite")
            if name == "yahpo" and yahpo_data is not None:
                options = {"data": yahpo_data, **options}
            found.append(SuiteSource(name, seed, tuple(options.items())))
        found += [TargetSource(target, folder, seed) for target in targets]
    if only:
        filtered = [Only(source, tuple(only)) for source in found]
        found = [source for source in filtered if source.problems()]
        if not found:
            raise InvalidArgument(f"--only {' '.join(only)}: no problem has such a name.")
    names: dict[Any, str] = {}
    for source in found:
        for name in problems_of(source):
            if (name, source.seed) in names:
                raise InvalidArgument(f'two problems are named "{name}"; name each source once.')
            names[name, source.seed] = name
    return tuple(found)
