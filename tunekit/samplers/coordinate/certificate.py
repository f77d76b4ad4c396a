"""The certificate that no change of one parameter is better than the best point of a study."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tunekit.errors import InvalidArgument, TunekitError
from tunekit.records import ObjectiveSpec
from tunekit.registry import check_options
from tunekit.samplers.base import StudyView, at_target, held, repaired, sample
from tunekit.samplers.coordinate.changes import Tree
from tunekit.samplers.coordinate.rules import CoordinateRules, told
from tunekit.samplers.coordinate.standings import PointResults, Verdict
from tunekit.samplers.coordinate.survey import Seen, Survey, Surveyor
from tunekit.samplers.random_streams import light_stream, stream
from tunekit.shown import counted
from tunekit.spaces import Params, Scalar, Space, walk


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a parameter and how it compares with the certified point.

    Attributes:
        path: the parameter.
        before: its value in the certified point.
        after: its value in the other point.
        number: trial of the other point, `None` if it has none.
        verdict: "worse", "tie" (not better or worse by more than tolerance and noise) or "failed"
            count for the certificate; "better", "in doubt", "running", "not run" and "no result"
            (lost or cancelled twice) against it.
        apart: by how much it loses more, in the objective's unit; NaN if unknown.
        half_width: of the interval of `apart`; 0 with one block.
        inside: for a choice that opens parameters: how many changes of these were compared, so
            that the choice is judged by its own best values.
    """

    path: str
    before: Scalar
    after: Scalar
    number: int | None
    verdict: Verdict
    apart: float
    half_width: float
    inside: int = 0

    def __str__(self) -> str:
        far = "" if math.isnan(self.apart) else f", {self.apart:+.4g}"
        width = f" +- {self.half_width:.2g}" if 0.0 < self.half_width < math.inf else ""
        within = f", best of {self.inside + 1} there" if self.inside else ""
        change = f"{self.path} {told(self.before)} -> {told(self.after)}"
        return f"{change}: {self.verdict}{far}{width}{within}"


@dataclass(frozen=True, slots=True)
class Certificate:
    """Whether no change of one parameter is better than a point; true if it holds.

    Attributes:
        holds: whether every change has been measured and none is better.
        params: the point, the best one that is known; `None` without any result.
        number: its first trial.
        value: its objective, the mean over its blocks.
        n_blocks: how many blocks it was measured on.
        changes: every change that the rules allow.
        n_excluded: changes that the constraints of the space forbid.
        tolerance: how much a change had to be better by, in the objective's unit.
        noise_sd: standard deviation of one result; NaN if unknown, as with one block.
    """

    holds: bool
    params: Params | None
    number: int | None
    value: float
    n_blocks: int
    changes: tuple[Change, ...]
    n_excluded: int
    tolerance: float
    noise_sd: float

    def __bool__(self) -> bool:
        return self.holds

    def __str__(self) -> str:
        return self.reason

    @property
    def open(self) -> tuple[Change, ...]:
        """Return the changes that keep it from holding."""
        return tuple(c for c in self.changes if c.verdict not in ("worse", "tie", "failed"))

    @property
    def reason(self) -> str:
        """Return in one sentence whether it holds and why."""
        if self.params is None:
            return "no certificate: no point has a result yet; run the study."
        counts = Counter(c.verdict for c in self.changes)
        told = ", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items())) or "none"
        out = f"; {self.n_excluded} more violate a constraint" if self.n_excluded else ""
        changes = counted(len(self.changes), "change")
        if self.holds:
            gain = f" by more than {self.tolerance:g}" if self.tolerance else ""
            return (
                f"certified: none of the {changes} of one parameter is better than trial "
                f"{self.number}{gain} ({told}{out})."
            )
        left = [str(c) for c in self.open]
        first = f"; first {left[0]}" if left else "; the point itself has no result"
        return (
            f"no certificate for trial {self.number}: {len(left)} of the {changes} of one "
            f"parameter are open ({told}{out}){first}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON; an unknown number is `None`."""
        return {
            "holds": self.holds,
            "reason": self.reason,
            "params": None if self.params is None else dict(self.params),
            "number": self.number,
            "value": _finite(self.value),
            "n_blocks": self.n_blocks,
            "tolerance": self.tolerance,
            "noise_sd": _finite(self.noise_sd),
            "n_excluded": self.n_excluded,
            "changes": [
                {
                    "path": c.path,
                    "before": c.before,
                    "after": c.after,
                    "number": c.number,
                    "verdict": c.verdict,
                    "apart": _finite(c.apart),
                    "half_width": _finite(c.half_width),
                    "inside": c.inside,
                }
                for c in self.changes
            ],
        }


def certificate(view: StudyView, rules: CoordinateRules, start: Params) -> Certificate:
    """Return the certificate of a study's best point.

    Args:
        view: the space and the trials of a study with one objective.
        rules: which changes count, and what makes one better.
        start: where a descent begins; only of use before there are results.

    Raises:
        InvalidArgument: the study has several objectives, or the rules do not fit the space.
    """
    one_objective(view.objectives, "a certificate")
    survey, standings = surveyed(view, rules, start)
    centre = standings.get(survey.centre)
    is_known = centre is not None and bool(centre.losses) and not centre.is_out
    changes = tuple(_change(seen, standings) for seen in survey.seen)
    if centre is None or not is_known:
        return Certificate(
            False, None, None, math.nan, 0, changes, survey.n_excluded, rules.tolerance, math.nan
        )
    loss = standings.noise.mean(centre)
    return Certificate(
        holds=survey.is_settled,
        params=centre.params,
        number=centre.number,
        value=view.objectives[0].loss(loss),
        n_blocks=len(centre.losses),
        changes=changes,
        n_excluded=survey.n_excluded,
        tolerance=rules.tolerance,
        noise_sd=standings.noise.sd if standings.is_noise_known else math.nan,
    )


def certificate_of(view: StudyView, sampler: object, rules: Mapping[str, Any]) -> Certificate:
    """Return the certificate of a study under the rules of its sampler, with some replaced.

    Raises:
        InvalidArgument: as `certificate`, or there is no such rule.
    """
    check_options("certificate", CoordinateRules, rules)
    own = getattr(sampler, "rules", None)
    base = own if isinstance(own, CoordinateRules) else CoordinateRules()
    start = getattr(sampler, "start", {}) if isinstance(own, CoordinateRules) else {}
    return certificate(view, replace(base, **rules), start_of(view, start))


def surveyed(
    view: StudyView, rules: CoordinateRules, start: Params
) -> tuple[Survey, PointResults]:
    """Return the survey of a study as its sampler sees it."""
    tree = Tree(view.space, rules)
    standings = PointResults(view.history, rules, n_changes=tree.n_changes)
    return Surveyor(tree, standings, start).survey(), standings


def start_of(view: StudyView, given: Mapping[str, Scalar]) -> Params:
    """Return the point that a descent begins at: the given values, defaults for the rest.

    Raises:
        InvalidArgument: the given values are no part of a point of the space.
        InvalidSpace: no point was found that satisfies the constraints.
    """
    space = view.space
    fixed = at_target(space, held(replace(view, fixed={0: _resolved(space, given)}), 0))
    point = walk(
        space, lambda p, _: fixed[p.path] if p.path in fixed else p.domain.default_value()
    )
    if not fixed.keys() <= dict(point).keys():
        lost = sorted(fixed.keys() - dict(point).keys())
        raise InvalidArgument(f"coordinate: start: {lost} are not active with the other values.")
    if not space.violated(point):
        return point
    near = repaired(space, point, stream(view.seed, 0), fixed)
    return sample(space, light_stream(view.seed, 0), fixed) if near is None else near


def _resolved(space: Space, given: Mapping[str, Scalar]) -> Params:
    try:
        paths = {space.resolve(name): value for name, value in given.items()}
        domains = {path: space.by_path[path].domain for path in paths}
        return Params({path: domains[path].validate(v, path) for path, v in paths.items()})
    except TunekitError as error:
        raise InvalidArgument(f"coordinate: start: {error.message}") from None


def one_objective(objectives: tuple[ObjectiveSpec, ...], what: str) -> None:
    """Check that there is one objective to compare by.

    Raises:
        InvalidArgument: there are several.
    """
    if len(objectives) > 1:
        raise InvalidArgument(
            f"{what} compares points by one objective, but the study has {len(objectives)}; make "
            "a study of one of them."
        )


def _change(seen: Seen, standings: PointResults) -> Change:
    there = standings.get(seen.point)
    return Change(
        seen.step.path,
        seen.step.before,
        seen.step.after,
        None if there is None else there.number,
        seen.verdict,
        seen.apart,
        seen.half,
        sum(1 for _ in _all_inside(seen)),
    )


def _all_inside(seen: Seen) -> Iterator[Seen]:
    for s in seen.inside:
        yield s
        yield from _all_inside(s)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
