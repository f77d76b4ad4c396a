"""The drift test: whether the value that a rule carried to a rung is still the best there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from tunekit.history import History
from tunekit.samplers.coordinate.certificate import Certificate
from tunekit.samplers.coordinate.changes import Step, Tree
from tunekit.samplers.coordinate.rules import CoordinateRules, told
from tunekit.samplers.coordinate.standings import PointResults
from tunekit.scaling.rungs import Rung
from tunekit.spaces import Float, Int, Params, Scalar, Space
from tunekit.spaces.domains import typed

DriftVerdict: TypeAlias = Literal["none", "drift", "open"]


@dataclass(frozen=True, slots=True)
class Drift:
    """The distance of a parameter's best value from the value carried up to the rung.

    Attributes:
        path: the parameter.
        rung: index of the rung.
        carried: the value that the transfer rule gave, in the rung's own units.
        best: the best value found there.
        vertex: the minimum of a parabola through the best value and its two neighbours on the
            (log) scale; the best value itself at an edge, beside a failure, and for choices.
        shift: from the carried value to the vertex: log2 of the ratio on a log scale, else the
            difference; NaN for choices.
        excess: how much more the carried value loses with everything else at its best, in the
            objective's unit; 0 where it is the best, NaN where that was not measured.
        half_width: of the interval of `excess`.
        verdict: "none" if the carried value is as good as the best; "drift" if it is not; "open"
            while a change of it has not been measured.
        at_edge: whether the best value is the first or last of those tried, so that the true one
            may lie beyond.
    """

    path: str
    rung: int
    carried: Scalar
    best: Scalar
    vertex: Scalar
    shift: float
    excess: float
    half_width: float
    verdict: DriftVerdict
    at_edge: bool

    def __str__(self) -> str:
        if self.verdict == "open":
            return f"rung {self.rung}: {self.path} is not measured yet"
        edge = ", at the edge of the values" if self.at_edge else ""
        if self.verdict == "none":
            return f"rung {self.rung}: {self.path} stays at {told(self.carried)}{edge}"
        cost = "" if math.isnan(self.excess) else f", which costs {self.excess:.4g} if ignored"
        moved = f"{told(self.carried)} -> {told(self.best)}"
        return f"rung {self.rung}: {self.path} {moved}{cost}{edge}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON; an unknown number is `None`."""
        return {
            k: None if isinstance(v, float) and not math.isfinite(v) else v
            for k, v in asdict(self).items()
        }


def drift_of(
    rung: Rung,
    space: Space,
    *,
    certificate: Certificate,
    history: History,
    carried: Mapping[str, Scalar],
    rules: CoordinateRules,
) -> list[Drift]:
    """Return the drift of each varied parameter that is active in a rung's best point."""
    tree = Tree(space, rules)
    standings = PointResults(history, rules, n_changes=tree.n_changes)
    if certificate.params is None:
        return []
    centre = dict(certificate.params)
    out = []
    for path, levels in tree.levels.items():
        if path not in centre or path not in carried:
            continue
        is_open = any(c.path == path for c in certificate.open)
        best, start = centre[path], carried[path]
        excess, half, is_worse = _cost(tree, standings, certificate.params, path, start)
        moved = typed(best) != typed(start)
        vertex = vertex_of(space, path, certificate)
        out.append(
            Drift(
                path,
                rung.index,
                start,
                best,
                vertex,
                _shift(space, path, start, vertex),
                excess,
                half,
                "open" if is_open else "drift" if moved and is_worse else "none",
                _is_edge(space, path, levels, best),
            )
        )
    return out


def vertex_of(space: Space, path: str, certificate: Certificate) -> Scalar:
    """Return the place of the minimum between the values that were tried around the best."""
    domain = space.by_path[path].domain
    assert certificate.params is not None
    best = dict(certificate.params)[path]
    if not isinstance(domain, Float | Int) or best in domain.special:
        return best
    is_log = domain.log and isinstance(best, int | float)
    known = [
        (_on(float(c.after), is_log=is_log), c.apart)
        for c in certificate.changes
        if c.path == path and isinstance(c.after, int | float) and math.isfinite(c.apart)
    ]
    x = _on(float(best), is_log=is_log)  # type: ignore[arg-type]
    below = max((k for k in known if k[0] < x), default=None)
    above = min((k for k in known if k[0] > x), default=None)
    if below is None or above is None:
        return best
    left, right = x - below[0], above[0] - x
    bend = below[1] * right + above[1] * left
    if bend <= 0.0:
        return best
    # The vertex of the parabola through (-left, a), (0, 0), (right, b).
    move = 0.5 * (below[1] * right**2 - above[1] * left**2) / bend
    found = x + min(max(move, -left), right)
    return math.exp(found) if is_log else found


def _cost(
    tree: Tree, standings: PointResults, centre: Params, path: str, start: Scalar
) -> tuple[float, float, bool]:
    """Return what it costs to go back to the carried value, and whether that is worse."""
    if typed(dict(centre)[path]) == typed(start):
        return 0.0, 0.0, False
    point = tree.changed(centre, Step(path, dict(centre)[path], start, 1), {})
    back = None if point is None else standings.get(point)
    own = standings.get(centre)
    if back is None or own is None or not (back.losses or back.is_out):
        return math.nan, math.nan, True  # the descent left it step by step, each one better
    if back.is_out:
        return math.inf, 0.0, True
    apart, half = standings.difference(back, own)
    return apart, half, standings.is_clearly_better(own, back)


def _shift(space: Space, path: str, start: Scalar, vertex: Scalar) -> float:
    domain = space.by_path[path].domain
    if not isinstance(domain, Float | Int) or start in domain.special:
        return math.nan
    assert isinstance(start, int | float) and isinstance(vertex, int | float)
    return math.log2(vertex / start) if domain.log else float(vertex - start)


def _is_edge(space: Space, path: str, levels: Sequence[Scalar], best: Scalar) -> bool:
    domain = space.by_path[path].domain
    if not isinstance(domain, Float | Int):
        return False
    inner = [v for v in levels if v not in domain.special]
    return len(inner) > 1 and best in (inner[0], inner[-1])


def _on(value: float, *, is_log: bool) -> float:
    return math.log(value) if is_log else value
