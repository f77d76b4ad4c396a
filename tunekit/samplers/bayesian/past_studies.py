"""Maps the trials of earlier studies into the space of the current one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunekit.checks import is_number
from tunekit.errors import InvalidArgument
from tunekit.spaces import Categorical, Constant, Domain, Float, Int, Params, Scalar, Space


@dataclass(frozen=True, slots=True)
class PastStudy:
    """The kept trials of an earlier study.

    Attributes:
        name: name of the study.
        n_trials: number of its trials with a result; `trials` may hold fewer.
        trials: (params, loss) pairs, less is better.
    """

    name: str
    n_trials: int
    trials: tuple[tuple[Mapping[str, Scalar], float], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        trials = [[dict(params), loss] for params, loss in self.trials]
        return {"study": self.name, "n_trials": self.n_trials, "trials": trials}

    @classmethod
    def from_dict(cls, data: object) -> PastStudy:
        """Return the study described by plain JSON.

        Raises:
            InvalidArgument: the form of `data` is not valid.
        """
        try:
            name, n_trials, trials = data["study"], data["n_trials"], data["trials"]  # type: ignore[index]
            found = tuple((dict(params), float(loss)) for params, loss in trials)
        except (TypeError, KeyError, ValueError):
            found, name, n_trials = (), None, 0
        if not isinstance(name, str) or not all(math.isfinite(loss) for _, loss in found):
            raise InvalidArgument(
                f"past: got {str(data)[:80]}, expected studies in the form "
                '{"study": name, "n_trials": n, "trials": [[params, loss], ...]}; give '
                "warm_start=[name, ...] to tunekit.study, which writes it."
            )
        return cls(name, n_trials, found)

    def points(self, space: Space) -> list[tuple[Params, float]]:
        """Return the trials that fit a space as (point, loss), best first, without duplicates."""
        found: dict[tuple[object, ...], tuple[Params, float]] = {}
        for params, loss in sorted(self.trials, key=lambda t: t[1]):
            point = placed(params, space)
            if point is not None:
                found.setdefault(tuple(point.items()), (point, loss))
        return list(found.values())


def past_studies(given: Sequence[Mapping[str, Any]]) -> tuple[PastStudy, ...]:
    """Return the earlier studies given by a sampler's option.

    Raises:
        InvalidArgument: the form of `given` is not valid, or names a study twice.
    """
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        raise InvalidArgument(f"past: got {str(given)[:80]}, expected a list of studies.")
    found = tuple(PastStudy.from_dict(g) for g in given)
    names = [s.name for s in found]
    if len(set(names)) < len(names):
        raise InvalidArgument(f"past: the studies {names} contain one twice; drop it.")
    return found


def placed(params: Mapping[str, Scalar], space: Space) -> Params | None:
    """Return a point of another space as a point of this space, `None` if it does not fit.

    Parameters with the same path keep their values, with numbers moved to the nearest value of
    the range. Missing parameters take their defaults. A point does not fit if it has an unknown
    choice, no parameter in common, or violates a constraint.
    """
    point: dict[str, Scalar] = {}
    n_shared = 0
    for p in space.parameters:
        if not p.is_active(point):
            continue
        value: Scalar = p.domain.default_value()
        if p.path in params and not isinstance(p.domain, Constant):
            if not _is_of_kind(params[p.path], p.domain):
                return None
            value = _nearest(params[p.path], p.domain)
            n_shared += 1
        point[p.path] = value
    return Params(point, space) if n_shared and not space.violated(point) else None


def _is_of_kind(value: Scalar, domain: Domain) -> bool:
    if isinstance(domain, Categorical):
        return domain.index(value) >= 0
    return is_number(value)


def _nearest(value: Scalar, domain: Domain) -> Scalar:
    if isinstance(domain, Categorical):
        return domain.choices[domain.index(value)]
    assert isinstance(domain, Float | Int) and isinstance(value, int | float)
    if value in domain.special:
        return domain.validate(value, "")
    inside = min(max(value, domain.lo), domain.hi)
    return domain.from_unit(domain.to_unit(round(inside) if isinstance(domain, Int) else inside))
