"""The rules of a coordinate descent: which values count, and what makes one better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from tunekit.checks import check_number, check_whole, shown, texts
from tunekit.errors import InvalidArgument, TunekitError
from tunekit.spaces import Categorical, Float, Int, Parameter, Scalar, Space
from tunekit.spaces.constant import Constant
from tunekit.spaces.domains import SPECIAL_SHARE, typed


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinateRules:
    """What a coordinate descent varies, and when a change counts as better.

    Attributes:
        n_points: values of a numeric parameter, evenly spaced on its (log) scale with both bounds
            included; one that has no more than these takes all its values, as choices do.
        values: path (or unique short name) -> the values of this parameter in place of those.
        vary: the parameters to vary; by default all. The others stay as the descent began.
        reach: how many of these values to either side of the best a change may go; by default
            all of them. Choices without an order and special values are always within reach.
        tolerance: in the objective's unit; a change counts as better only by more than this.
        n_blocks: seeds or folds (`trial.block`) that one point is measured on at most. With 1
            every result is taken as exact; with more, points in doubt are measured again.
        alpha: with several blocks, the probability that any of the changes around a point is
            called better and is not.

    Raises:
        InvalidArgument: an option is outside its range.
    """

    n_points: int = 5
    values: Mapping[str, Sequence[Scalar]] = field(default_factory=dict)
    vary: tuple[str, ...] | None = None
    reach: int | None = None
    tolerance: float = 0.0
    n_blocks: int = 1
    alpha: float = 0.05

    def __post_init__(self) -> None:
        check_whole(self.n_points, "n_points", low=2)
        check_whole(self.reach, "reach", low=1, optional=True)
        check_whole(self.n_blocks, "n_blocks", low=1)
        check_number(self.tolerance, "tolerance", low=0.0)
        check_number(self.alpha, "alpha", low=0.0, high=0.5, is_open=True)
        if self.vary is not None:
            object.__setattr__(self, "vary", texts(self.vary, "vary"))
        if not isinstance(self.values, Mapping) or not all(
            isinstance(name, str)
            and isinstance(given, Sequence)
            and not isinstance(given, str)
            and given
            for name, given in self.values.items()
        ):
            raise InvalidArgument(
                f"values={shown(self.values)}, expected a mapping of parameter to a list of "
                'values, such as {"lr": [1e-4, 3e-4, 1e-3]}.'
            )

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> CoordinateRules:
        """Return the rules among the options of a sampler.

        Raises:
            InvalidArgument: an option is outside its range.
        """
        known = {f.name for f in fields(cls)}
        return cls(**{name: value for name, value in options.items() if name in known})

    def levels(self, space: Space) -> dict[str, tuple[Scalar, ...]]:
        """Return path -> the values that a varied parameter may take, numbers in order.

        Raises:
            InvalidArgument: the rules name an unknown parameter, or a value outside its domain.
        """
        if not space.parameters:  # a program has not asked for any yet
            return {}
        given = {_resolved(space, name, "values"): v for name, v in self.values.items()}
        varied = None
        if self.vary is not None:
            varied = {_resolved(space, name, "vary") for name in self.vary}
        found: dict[str, tuple[Scalar, ...]] = {}
        for p in space.parameters:
            if p.path in space.target or (varied is not None and p.path not in varied):
                continue
            levels = _checked(p, given[p.path]) if p.path in given else _levels(p, self.n_points)
            if len(levels) > 1 or p.path in given:
                found[p.path] = levels
        return found


def is_ranked(parameter: Parameter) -> bool:
    """Return whether the values of a parameter have an order."""
    domain = parameter.domain
    return isinstance(domain, Float | Int) or (isinstance(domain, Categorical) and domain.ordered)


def steps_between(parameter: Parameter, levels: Sequence[Scalar], a: Scalar, b: Scalar) -> int:
    """Return how many levels `b` is away from `a`, 1 where the values have no order."""
    domain = parameter.domain
    special = domain.special if isinstance(domain, Float | Int) else ()
    if not is_ranked(parameter) or a in special or b in special:
        return 1
    places = [domain.to_unit(v) for v in levels if v not in special]
    low, high = sorted((domain.to_unit(a), domain.to_unit(b)))
    return 1 + sum(low < place < high for place in places)


def told(value: Scalar) -> str:
    """Return a value for a sentence, a float without the digits that nobody reads."""
    return f"{value:.6g}" if isinstance(value, float) else repr(value)


def _levels(parameter: Parameter, n_points: int) -> tuple[Scalar, ...]:
    domain = parameter.domain
    if isinstance(domain, Categorical):
        return domain.choices
    if isinstance(domain, Constant) or not isinstance(domain, Float | Int):
        return (domain.default_value(),)
    share = SPECIAL_SHARE if domain.special else 0.0
    n = n_points
    if domain.size <= n_points + len(domain.special):
        if isinstance(domain, Int):
            lo, step, n = domain.grid()
            return _unique([*domain.special, *range(lo, lo + n * step, step)])
        n = 1 if domain.step is None else domain.n_cells()
    ends = domain.step is None or n == n_points
    units = (
        [i / (n - 1) for i in range(n)] if ends and n > 1 else [(i + 0.5) / n for i in range(n)]
    )
    inner = [domain.from_unit(share + (1.0 - share) * u) for u in units]
    return _unique([*domain.special, *inner])


def _unique(values: Sequence[Scalar]) -> tuple[Scalar, ...]:
    return tuple({typed(v): v for v in values}.values())


def _checked(parameter: Parameter, given: Sequence[Scalar]) -> tuple[Scalar, ...]:
    try:
        values = [parameter.domain.validate(v, parameter.path) for v in given]
    except TunekitError as error:
        raise InvalidArgument(f"values: {error.message}") from None
    if is_ranked(parameter):
        values.sort(key=parameter.domain.to_unit)
    return _unique(values)


def _resolved(space: Space, name: str, option: str) -> str:
    try:
        return space.resolve(name)
    except TunekitError as error:
        raise InvalidArgument(f"{option}: {error.message}") from None
