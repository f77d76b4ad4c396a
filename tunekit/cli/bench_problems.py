"""Problems named on the command line: suites with options, and functions that give problems."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from tunekit.cli.targets import load, search_first
from tunekit.errors import InvalidArgument
from tunekit.records import ObjectiveSpec

if TYPE_CHECKING:
    from tunekit.bench.problem import Problem
    from tunekit.bench.sources import ProblemSource


@dataclass(frozen=True, slots=True)
class TargetSource:
    """The problems that a name of the user stands for.

    Attributes:
        target: `file.py:name`, `module:name` or an entry point; of a `Problem`, of a list of
            problems, of a function that returns either and may take the `seed`, or, together
            with a space, of an objective of a trial.
        folder: that files and modules are looked up in.
        space: of that objective, as `tunekit run --space` takes it.
        objectives: of that objective.
    """

    target: str
    folder: str
    seed: int = 0
    space: str | None = None
    objectives: tuple[ObjectiveSpec, ...] = ()

    @property
    def variant(self) -> str:
        """Return nothing: the names that the user gives tell problems apart."""
        return ""

    def problems(self) -> Sequence[Problem]:
        """Return the problems.

        Raises:
            InvalidArgument: it stands for something else.
        """
        from tunekit.bench.own import LOSS, problems
        from tunekit.cli.runner import make_space

        found = load(self.target, self.folder) if ":" in self.target else self.target
        space = make_space(self.space, Path(self.folder))
        return problems(found, seed=self.seed, space=space, objectives=self.objectives or LOSS)


@dataclass(frozen=True, slots=True)
class Only:
    """The problems of another source whose names match one of some patterns."""

    source: ProblemSource
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


@dataclass(frozen=True, slots=True)
class Named:
    """What the command line says of the problems.

    Attributes:
        suites: texts such as `"trees"` or `"trees:jenatton_depth=6"`.
        targets: texts such as `"problems.py:mine"`.
        seeds: of the instances; every source is there once for each.
        folder: that targets are looked up in.
        yahpo_data: the folder with the scenarios of YAHPO.
        only: patterns of problem names; all problems if empty.
        space, objectives: of targets that are objectives of a trial.
    """

    suites: Sequence[str]
    targets: Sequence[str]
    seeds: Sequence[int]
    folder: str
    yahpo_data: Path | None = None
    only: Sequence[str] = ()
    space: str | None = None
    objectives: tuple[ObjectiveSpec, ...] = ()

    def sources(self) -> tuple[ProblemSource, ...]:
        """Return the sources.

        Raises:
            InvalidArgument: no such suite or target, or no problem matches.
        """
        from tunekit.bench.sources import problems_of

        found: list[ProblemSource] = [
            source for seed in self.seeds for source in self._of_seed(seed)
        ]
        if self.only and found:
            only = [Only(source, tuple(self.only)) for source in found]
            found = [source for source in only if source.problems()]
            if not found:
                raise InvalidArgument(f"--only {' '.join(self.only)}: no problem has such a name.")
        names = [(name, source.seed) for source in found for name in problems_of(source)]
        if twice := {name for name in names if names.count(name) > 1}:
            raise InvalidArgument(f'two problems are named "{min(twice)[0]}"; rename one.')
        return tuple(found)

    def _of_seed(self, seed: int) -> Iterator[ProblemSource]:
        from tunekit.bench.contenders import parse_options
        from tunekit.bench.sources import SuiteSource

        for text in self.suites:
            text, environment = _environment_of(text)
            name, options = parse_options(text, "suite")
            if environment:
                search_first(self.folder)  # its module may lie there
                options = {"env": environment, **options}
            if name == "yahpo" and self.yahpo_data is not None:
                options = {"data": str(self.yahpo_data), **options}
            yield SuiteSource(name, seed, tuple(options.items()))
        for target in self.targets:
            yield TargetSource(target, self.folder, seed, self.space, self.objectives)


def _environment_of(text: str) -> tuple[str, str]:
    """Return a text such as `gym:module:Id-v0:steps=1` without the environment, and that."""
    found = re.fullmatch(r"gym:([^=]+?)(:\w+=.*)?", text)
    return (f"gym{found[2] or ''}", found[1]) if found else (text, "")
