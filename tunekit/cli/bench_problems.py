"""Resolves problems named on the command line: suites with options, and Python objects."""

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
    """A source of the user's own problems.

    Attributes:
        target: `file.py:name`, `module:name` or an entry point. It names a `Problem`, a list of
            them, a function that returns either and may take `seed`, or, if `space` is given,
            an objective that takes a trial.
        folder: folder that contains the files and modules.
        space: space of the objective, as in `tunekit run --space`.
        objectives: objectives of that function.
    """

    target: str
    folder: str
    seed: int = 0
    space: str | None = None
    objectives: tuple[ObjectiveSpec, ...] = ()

    @property
    def variant(self) -> str:
        """Return an empty text, since the user's names distinguish the problems."""
        return ""

    def problems(self) -> Sequence[Problem]:
        """Return the problems.

        Raises:
            InvalidArgument: the target is not a problem.
        """
        from tunekit.bench.own import LOSS, problems
        from tunekit.cli.runner import make_space

        found = load(self.target, self.folder) if ":" in self.target else self.target
        space = make_space(self.space, Path(self.folder))
        return problems(found, seed=self.seed, space=space, objectives=self.objectives or LOSS)


@dataclass(frozen=True, slots=True)
class Only:
    """Filters another source by patterns of problem names."""

    source: ProblemSource
    patterns: tuple[str, ...]

    @property
    def seed(self) -> int:
        """Return the seed of the other source."""
        return self.source.seed

    @property
    def variant(self) -> str:
        """Return the variant of the other source."""
        return self.source.variant

    def problems(self) -> Sequence[Problem]:
        """Return the matching problems, possibly none."""
        return [
            p
            for p in self.source.problems()
            if any(fnmatchcase(p.name, pattern) for pattern in self.patterns)
        ]


@dataclass(frozen=True, slots=True)
class Named:
    """Holds the command line's flags for problems.

    Attributes:
        suites: for example `"trees"` or `"trees:jenatton_depth=6"`.
        targets: for example `"problems.py:mine"`.
        seeds: seeds of the instances; each source is built once per seed.
        folder: folder that contains the targets.
        yahpo_data: folder of the YAHPO scenarios.
        only: patterns of problem names; empty keeps all.
        space, objectives: for targets that are objectives.
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
            InvalidArgument: unknown suite or target, or no matching problem.
        """
        from tunekit.bench.sources import problems_of

        found: list[ProblemSource] = [
            source for seed in self.seeds for source in self._of_seed(seed)
        ]
        if self.only and found:
            known = [name for source in found for name in problems_of(source)]
            only = [Only(source, tuple(self.only)) for source in found]
            found = [source for source in only if source.problems()]
            if not found:
                raise InvalidArgument(
                    f"--only {' '.join(self.only)} matches no problem; there are "
                    f"{', '.join(known)}."
                )
        names = [(name, source.seed) for source in found for name in problems_of(source)]
        if twice := {name for name in names if names.count(name) > 1}:
            raise InvalidArgument(f'Two problems have the name "{min(twice)[0]}"; rename one.')
        return tuple(found)

    def _of_seed(self, seed: int) -> Iterator[ProblemSource]:
        from tunekit.bench.contenders import parse_options
        from tunekit.bench.sources import SuiteSource

        for text in self.suites:
            text, environment = _environment_of(text)
            name, options = parse_options(text, "suite")
            if environment:
                search_first(self.folder)  # its module may be in this folder
                options = {"env": environment, **options}
            if name == "yahpo" and self.yahpo_data is not None:
                options = {"data": str(self.yahpo_data), **options}
            yield SuiteSource(name, seed, tuple(options.items()))
        for target in self.targets:
            yield TargetSource(target, self.folder, seed, self.space, self.objectives)


def _environment_of(text: str) -> tuple[str, str]:
    """Split a text, for example `gym:module:Id-v0:steps=1`, into the rest and the environment."""
    found = re.fullmatch(r"gym:([^=]+?)(:\w+=.*)?", text)
    return (f"gym{found[2] or ''}", found[1]) if found else (text, "")
