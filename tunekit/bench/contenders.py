"""Parses the contenders of a comparison: samplers and peers with options or grids of options."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from tunekit.errors import InvalidArgument

Kind: TypeAlias = Literal["sampler", "peer"]


@dataclass(frozen=True, slots=True)
class Contender:
    """One sampler or peer with fixed options.

    Attributes:
        kind: `"sampler"` for a tunekit sampler, `"peer"` for an optimiser of another library.
        name: registered short name.
        options: keyword arguments as (name, value) pairs, in the order given.
    """

    kind: Kind
    name: str
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def label(self) -> str:
        """Return the name shown in results, for example `bayesian:kernel=block`."""
        pairs = ",".join(f"{key}={_text(value)}" for key, value in self.options)
        return f"{self.name}:{pairs}" if pairs else self.name


def parse_contenders(text: str, kind: Kind) -> list[Contender]:
    """Parse contenders from a text, for example `"bayesian:kernel=block|flat,n=4"`.

    Each value is read as JSON if it parses, else as text. `|` separates alternatives; if several
    options have alternatives, each combination becomes one contender.

    Raises:
        InvalidArgument: the text is malformed.
    """
    name, grid = _parsed(text, kind)
    points = itertools.product(*grid.values())
    return [Contender(kind, name, tuple(zip(grid, point, strict=True))) for point in points]


def parse_options(text: str, what: str) -> tuple[str, dict[str, Any]]:
    """Parse a name and its options from a text, for example `"trees:jenatton_depth=6"`.

    Args:
        text: at most one value per option.
        what: kind of thing named, for error messages.

    Raises:
        InvalidArgument: the text is malformed, or an option has several values.
    """
    name, grid = _parsed(text, what)
    if several := [key for key, values in grid.items() if len(values) > 1]:
        raise InvalidArgument(
            f'{what} "{text}": option {several[0]} has several values; give one.'
        )
    return name, {key: values[0] for key, values in grid.items()}


def _parsed(text: str, what: str) -> tuple[str, dict[str, list[Any]]]:
    name, colon, rest = text.partition(":")
    grid: dict[str, list[Any]] = {}
    for pair in rest.split(",") if colon else []:
        key, equals, values = pair.partition("=")
        if not key.isidentifier() or not equals or not values or key in grid:
            raise InvalidArgument(
                f'{what} "{text}": expected a form like "name:option=value,other=a|b".'
            )
        grid[key] = [_value(v) for v in values.split("|")]
    if not name:
        raise InvalidArgument(f'{what} "{text}": the name before the colon is missing.')
    return name, grid


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
