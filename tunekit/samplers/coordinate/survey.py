"""Looks at every change of one parameter around a point: what is known, and what is to be run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from tunekit.noise.replicates import Key, ReplicatedPoint, key_of
from tunekit.samplers.coordinate.changes import Step, Tree
from tunekit.samplers.coordinate.rules import told
from tunekit.samplers.coordinate.standings import PointResults, Verdict
from tunekit.spaces import Params, Scalar
from tunekit.spaces.domains import typed

CANDIDATES = 8
"""How many points within the tolerance of the best are considered as the centre."""

# Groups of runs, the most urgent first.
CENTRE, RIVAL, CHANGE, BRANCH, DOUBT = range(5)


@dataclass(frozen=True, slots=True)
class Run:
    """A trial that the descent needs.

    Attributes:
        block: what to measure it on; above 0 it repeats a point.
        urgency: (group, depth below opened branches, distance), the least first.
        why: half a sentence.
    """

    params: Params
    block: int
    urgency: tuple[int, int, int]
    why: str


@dataclass(frozen=True, slots=True)
class Seen:
    """One change with what is known of it.

    Attributes:
        point: where it leads; the best point of the branch if it opens one.
        apart: by how much it loses more than the centre, NaN if unknown.
        half: half-width of the interval of `apart`.
        inside: changes inside a branch that it opens.
    """

    step: Step
    point: Params
    verdict: Verdict
    apart: float
    half: float
    inside: tuple[Seen, ...] = ()


@dataclass(slots=True)
class Survey:
    """All changes around a centre.

    Attributes:
        centre: the point itself.
        seen: the changes with their verdicts.
        runs: what is not known yet and not running either.
        n_excluded: changes that the constraints of the space forbid.
        better: the best point that a change leads to, if one is better.
    """

    centre: Params
    seen: list[Seen] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    n_excluded: int = 0
    better: ReplicatedPoint | None = None

    @property
    def is_settled(self) -> bool:
        """Return whether every change is known, and none is better or in doubt."""
        return not self.runs and all(s.verdict in SETTLED for s in self.seen)


SETTLED: tuple[Verdict, ...] = ("worse", "tie", "failed")


class Surveyor:
    """Looks around points of one study."""

    def __init__(self, tree: Tree, standings: PointResults, start: Params) -> None:
        self._tree = tree
        self._standings = standings
        self._start = start

    def survey(self) -> Survey:
        """Return the survey around the point that is the nearest to a certificate."""
        every = frozenset(self._tree.levels)
        first = self._standings.get(self._start)
        is_waiting = self._standings.state(self._start) == "running" and first is not None
        fitting = [] if is_waiting else self._near_best()
        if not fitting:
            return self._descend(self._start, every, depth=0)
        surveys = [self._descend(c.params, every, depth=0) for c in fitting]
        return min(surveys, key=lambda s: len(s.runs))

    def _near_best(self) -> list[ReplicatedPoint]:
        """Return the best point of the current space, and others within the tolerance of it."""
        near: list[ReplicatedPoint] = []
        for c in self._standings.found:
            if near and self._apart(c, near[0]) > self._standings.rules.tolerance:
                break
            if self._fits(c):
                near.append(c)
            if len(near) >= (CANDIDATES if self._standings.rules.tolerance else 1):
                break
        return near

    def _apart(self, a: ReplicatedPoint, b: ReplicatedPoint) -> float:
        return self._standings.noise.mean(a) - self._standings.noise.mean(b)

    def _fits(self, found: ReplicatedPoint) -> bool:
        try:
            return not self._tree.space.violated(self._tree.space.validate(found.params))
        except (ValueError, KeyError):
            return False

    def _descend(self, centre: Params, coordinates: Collection[str], *, depth: int) -> Survey:
        """Return the survey of a centre, moved as long as a change is better."""
        visited: set[Key] = set()
        while True:
            visited.add(key_of(centre))
            found = self._look(centre, coordinates, depth=depth)
            if found.better is None or key_of(found.better.params) in visited:
                return found
            centre = found.better.params

    def _look(self, centre: Params, coordinates: Collection[str], *, depth: int) -> Survey:
        out = Survey(centre)
        if depth == 0 and self._standings.state(centre) == "not run":
            out.runs.append(Run(centre, 0, (CENTRE, 0, 0), "where the descent begins"))
        known = self._standings.get(centre)
        for step in self._tree.steps(centre, coordinates):
            below = self._tree.opened(centre, step.path)
            point = self._tree.changed(centre, step, self._known_below(step, below))
            if point is None:
                out.n_excluded += 1
                continue
            fresh = below & dict(point).keys()
            seen = self._inside(out, step, point, below, depth) if fresh else None
            self._judge(out, seen or Seen(step, point, "not run", float("nan"), 0.0), known, depth)
        return out

    def _known_below(self, step: Step, below: Collection[str]) -> Mapping[str, Scalar]:
        """Return values of what a change opens, from the best point that has it."""
        if not below:
            return {}
        for c in self._standings.found:
            params = dict(c.params)
            if step.path in params and typed(params[step.path]) == typed(step.after):
                return {path: v for path, v in params.items() if path in below}
        return {path: v for path, v in self._start.items() if path in below}

    def _inside(
        self, out: Survey, step: Step, point: Params, below: frozenset[str], depth: int
    ) -> Seen | None:
        """Descend among the parameters that a change opens, everything else held.

        A branch is judged by its own best values, not by the first ones that come to mind.
        """
        outside = {path: v for path, v in dict(point).items() if path not in below}
        members = (c for c in self._standings.found if _agrees(c, outside, below))
        inside = next((c for c in members if self._fits(c)), None)
        if inside is None and self._standings.state(point) in ("not run", "running", "no result"):
            return None
        found = self._descend(point if inside is None else inside.params, below, depth=depth + 1)
        out.runs += found.runs
        out.n_excluded += found.n_excluded
        # Once nothing is open inside, the branch's best point is compared like any other change.
        verdict: Verdict = "tie" if found.is_settled else "not run" if found.runs else "running"
        return Seen(step, found.centre, verdict, float("nan"), 0.0, tuple(found.seen))

    def _judge(self, out: Survey, seen: Seen, known: ReplicatedPoint | None, depth: int) -> None:
        """Add a change to a survey with its verdict, and the runs that it still needs."""
        step, there = seen.step, self._standings.get(seen.point)
        missing = self._standings.state(seen.point)
        if there is None or (missing is not None and missing != "failed"):
            verdict: Verdict = missing or "not run"
            if verdict == "not run":
                opens = bool(dict(seen.point).keys() - dict(out.centre).keys())
                group = BRANCH if depth or opens else CHANGE
                out.runs.append(Run(seen.point, 0, (group, depth, step.distance), _reads(step)))
            out.seen.append(replace(seen, verdict=verdict))
            return
        verdict, apart, half = self._standings.compare(there, known), float("nan"), 0.0
        if known is not None and known.losses and there.losses and not there.is_out:
            apart, half = self._standings.difference(there, known)
        if verdict == "better" and self._is_first(out, there):
            out.better = there
        if verdict == "in doubt" and known is not None and known.losses:
            self._repeat(out, seen, there, known, apart, depth)
        if seen.inside and seen.verdict not in SETTLED and verdict in SETTLED:
            verdict = seen.verdict  # the best values of the branch are not known yet
        out.seen.append(replace(seen, verdict=verdict, apart=apart, half=half))

    def _is_first(self, out: Survey, there: ReplicatedPoint) -> bool:
        return out.better is None or self._apart(there, out.better) < 0.0

    def _repeat(
        self,
        out: Survey,
        seen: Seen,
        there: ReplicatedPoint,
        known: ReplicatedPoint,
        apart: float,
        depth: int,
    ) -> None:
        """Ask for the change or the centre once more, whichever has been measured less."""
        group = RIVAL if apart < -self._standings.rules.tolerance else DOUBT
        for c in sorted((there, known), key=lambda c: (len(c.blocks), c is known)):
            block = self._standings.free_block(c.params)
            if block is not None:
                why = f"again on block {block}, as it is in doubt whether {_reads(seen.step)}"
                out.runs.append(Run(c.params, block, (group, depth, 0), f"{why} is better"))
                return


def _agrees(found: ReplicatedPoint, outside: Mapping[str, Scalar], below: Collection[str]) -> bool:
    """Return whether a point has the same values outside of a branch."""
    theirs = {path: v for path, v in dict(found.params).items() if path not in below}
    return theirs.keys() == outside.keys() and all(
        typed(theirs[path]) == typed(v) for path, v in outside.items()
    )


def _reads(step: Step) -> str:
    return f"{step.path} {told(step.before)} -> {told(step.after)}"
