"""Which parameters keep their best value from scale to scale, and which have to be fitted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from tunekit.checks import check_number, shown
from tunekit.errors import InvalidArgument, NoCompleteTrial
from tunekit.samplers.coordinate.rules import told
from tunekit.scaling.near_best import NearBest, near_best
from tunekit.spaces import Float, Int, Scalar, Space
from tunekit.spaces.constant import Constant
from tunekit.studies.study import Study

Verdict: TypeAlias = Literal["stable", "unclear", "sensitive", "untested"]

SAME = 1e-6
"""Relative difference up to which two numbers count as the same value."""


@dataclass(frozen=True, slots=True)
class Stability:
    """What the studies say of one parameter.

    Attributes:
        path: the parameter.
        verdict: "stable" if one value is near the best in every study; "sensitive" if the values
            near the best of two studies exclude each other; "unclear" if they may overlap
            between the values that were tried; "untested" if a study has tried one value only.
        value: that one value; of several the one with the least loss excess; `None` without one.
        best: the best value of each study, in their order; `None` where it is not active.
        near: the values near the best of each study, ascending.
        exponent: of a sensitive number whose studies know their size `m`: slope of its logarithm
            over ln m, a first idea of the law to fit; NaN otherwise.
    """

    path: str
    verdict: Verdict
    value: Scalar
    best: tuple[Scalar, ...]
    near: tuple[tuple[Scalar, ...], ...]
    exponent: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "path": self.path,
            "verdict": self.verdict,
            "value": self.value,
            "best": list(self.best),
            "near": [list(values) for values in self.near],
            "exponent": None if math.isnan(self.exponent) else self.exponent,
        }


@dataclass(frozen=True, slots=True)
class StabilityReport:
    """The parameters of studies at several scales.

    Attributes:
        studies: names of the studies.
        rows: one for each parameter that all of them have.
        tolerance: relative loss excess up to which a point is near the best.
        cautions: what weakens the report, in sentences.
    """

    studies: tuple[str, ...]
    rows: tuple[Stability, ...]
    tolerance: float
    cautions: tuple[str, ...]

    @property
    def stable(self) -> dict[str, Scalar]:
        """Return the parameters that may keep one value, with this value."""
        return {r.path: r.value for r in self.rows if r.verdict == "stable"}

    @property
    def sensitive(self) -> list[str]:
        """Return the parameters that have to be fitted over the scale."""
        return [r.path for r in self.rows if r.verdict == "sensitive"]

    def __str__(self) -> str:
        lines = [
            f"{r.path}: {r.verdict}"
            + (
                f" at {told(r.value)}"
                if r.verdict == "stable"
                else f", best {', '.join(map(told, r.best))}"
            )
            + ("" if math.isnan(r.exponent) else f", about m^{r.exponent:+.2f}")
            for r in self.rows
        ]
        return "\n".join([*lines, *(f"caution: {c}" for c in self.cautions)])

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "studies": list(self.studies),
            "tolerance": self.tolerance,
            "parameters": [r.to_dict() for r in self.rows],
            "cautions": list(self.cautions),
        }


def stability_report(studies: Sequence[Study], *, tolerance: float = 1e-3) -> StabilityReport:
    """Return which parameters are scale-stable and which have to be fitted.

    A parameter is stable if one of its values is near the best in every study. Values of the
    rungs of a wind tunnel are compared as their transfer rules relate them.

    Args:
        studies: two or more with the same single objective, one for each scale.
        tolerance: relative loss excess up to which a point is near the best; the paper's 0.003
            at a loss near 3.

    Raises:
        InvalidArgument: fewer than two studies, several or different objectives, or no parameter
            that all of them vary.
        NoCompleteTrial: a study has no complete, feasible trial.

    Reference: Wen et al., 2025, "Fantastic pretraining optimizers and where to find them",
    section 3 (phase II).
    """
    check_number(tolerance, "tolerance", low=0.0)
    given = _checked(studies)
    found = [near_best(study, tolerance=tolerance) for study in given]
    rows = [_row(path, found) for path in _common(given) if any(path in n.tried for n in found)]
    if not rows:
        raise InvalidArgument(
            "stability_report: the studies have no varied parameter in common; give studies of "
            "the same space at several scales."
        )
    cautions = [f"study {s.name!r}: {c.reason}" for s in given if not (c := s.certificate())]
    return StabilityReport(tuple(s.name for s in given), tuple(rows), tolerance, tuple(cautions))


def _checked(studies: Sequence[Study]) -> list[Study]:
    given = list(studies) if isinstance(studies, Sequence) and not isinstance(studies, str) else []
    if len(given) < 2 or not all(isinstance(s, Study) for s in given):
        raise InvalidArgument(
            f"stability_report: studies={shown(studies)}, expected a list of two or more studies, "
            "one for each scale."
        )
    objectives = {s.objectives for s in given}
    if len(objectives) > 1 or len(given[0].objectives) > 1:
        raise InvalidArgument(
            "stability_report: the studies have the objectives "
            f"{[[o.metric for o in s.objectives] for s in given]}, expected the same single one."
        )
    for study in given:
        if not study.refresh().best:
            raise NoCompleteTrial(
                f"stability_report: study {study.name!r} has no complete, feasible trial; run it."
            )
    return given


def _common(studies: Sequence[Study]) -> list[str]:
    """Return the parameters that all studies have and may vary."""
    spaces = [s.space for s in studies]
    return [p.path for p in spaces[0] if all(_may_vary(space, p.path) for space in spaces)]


def _may_vary(space: Space, path: str) -> bool:
    found = space.by_path.get(path)
    return (
        found is not None and not isinstance(found.domain, Constant) and path not in space.target
    )


def _row(path: str, found: Sequence[NearBest]) -> Stability:
    near = tuple(_ascending(n.values.get(path, {})) for n in found)
    best = tuple(n.best.get(path) for n in found)
    common = [v for v in near[0] if all(any(_same(v, w) for w in others) for others in near[1:])]
    verdict: Verdict
    value: Scalar = None
    if any(len(n.tried.get(path, ())) < 2 or not n.values.get(path) for n in found):
        verdict = "untested"
    elif common:
        verdict, value = "stable", min(common, key=lambda v: _excess(path, v, found))
    else:
        verdict = "unclear" if _may_overlap(path, found) else "sensitive"
    exponent = _exponent(best, found) if verdict in ("sensitive", "unclear") else math.nan
    return Stability(path, verdict, value, best, near, exponent)


def _ascending(values: Mapping[Scalar, float]) -> tuple[Scalar, ...]:
    numbers = sorted(v for v in values if _is_number(v))  # type: ignore[type-var]
    return (*numbers, *sorted((v for v in values if not _is_number(v)), key=str))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(a: Scalar, b: Scalar) -> bool:
    if _is_number(a) and _is_number(b):
        return math.isclose(a, b, rel_tol=SAME)  # type: ignore[arg-type]
    return type(a) is type(b) and a == b


def _excess(path: str, value: Scalar, found: Sequence[NearBest]) -> float:
    """Return the sum over the studies of the relative loss excess at a value."""
    return sum(
        min((x for v, x in n.values[path].items() if _same(v, value)), default=0.0) for n in found
    )


def _may_overlap(path: str, found: Sequence[NearBest]) -> bool:
    """Return whether the plateaus of a number may share a value between those tried."""
    if not all(isinstance(n.space.by_path[path].domain, Float | Int) for n in found):
        return False
    spans = [n.plateau(path) for n in found]
    low, high = max(s[0] for s in spans), min(s[1] for s in spans)
    return low < high and not math.isclose(low, high, rel_tol=SAME)


def _exponent(best: Sequence[Scalar], found: Sequence[NearBest]) -> float:
    """Return the slope of ln value over ln size, with the transfer rules taken back."""
    pairs = [
        (math.log(n.size), math.log(float(v)))  # type: ignore[arg-type]
        for v, n in zip(best, found, strict=True)
        if n.size > 0.0 and _is_number(v) and float(v) > 0.0  # type: ignore[arg-type]
    ]
    if len(pairs) < len(found) or len({x for x, _ in pairs}) < 2:
        return math.nan
    x_mean = sum(x for x, _ in pairs) / len(pairs)
    y_mean = sum(y for _, y in pairs) / len(pairs)
    return sum((x - x_mean) * (y - y_mean) for x, y in pairs) / sum(
        (x - x_mean) ** 2 for x, _ in pairs
    )
