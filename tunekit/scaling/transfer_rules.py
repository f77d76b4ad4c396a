"""Rules that carry the value of a parameter from one model size to another."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunekit.checks import is_number, shown
from tunekit.errors import InvalidArgument
from tunekit_surrogates.scaling.presets import PRESETS
from tunekit_surrogates.scaling.published import Monomial

LAW = "law"

M = "m"
"""Name of the size that rules like "1/m" mean, relative to the first rung."""

_ROLES: Mapping[str, str] = {
    "lr": "lr", "learning_rate": "lr", "bs": "bs", "batch_size": "bs", "batch": "bs",
}  # fmt: skip

_EXPONENTS: Mapping[str, float] = {
    "constant": 0.0,
    "m": 1.0,
    "1/m": -1.0,
    "sqrt(m)": 0.5,
    "1/sqrt(m)": -0.5,
}


@dataclass(frozen=True, slots=True)
class TransferRule:
    """A power law over sizes, given or to be fitted.

    Attributes:
        exponents: size -> exponent; `m` is the multiplier. All are 0 for a constant.
        is_fitted: whether the exponents come from the rungs that have been run.
        text: how it was given.
    """

    text: str
    exponents: Mapping[str, float] = field(default_factory=dict)
    is_fitted: bool = False

    @property
    def is_constant(self) -> bool:
        """Return whether the value is the same at every size."""
        return not self.is_fitted and not any(self.exponents.values())

    def factor(self, sizes: Mapping[str, float], base: Mapping[str, float], m: float) -> float:
        """Return the value at some sizes relative to that at the base, for a given law.

        Args:
            sizes: size -> value.
            base: the sizes of the first rung.
            m: the multiplier relative to the first rung.
        """
        ratios = {M: m, **{name: value / base[name] for name, value in sizes.items()}}
        return math.prod([math.pow(ratios[name], x) for name, x in self.exponents.items()])


def parse_rule(given: object, path: str, names: Sequence[str]) -> TransferRule:
    """Return the rule for a parameter.

    Args:
        given: "constant", "1/m", "1/sqrt(m)", "m", "sqrt(m)", "m^-0.7", "law", the name of a
            published law of the learning rate or batch size such as "step_law", or size ->
            exponent, such as `{"N": -0.713, "D": 0.307}`.
        path: the parameter, for errors.
        names: the sizes of the rungs.

    Raises:
        InvalidArgument: another form, or a size that the rungs do not have.
    """
    if isinstance(given, Mapping):
        return TransferRule(str(dict(given)), _exponents(given, path, names))
    text = given.replace(" ", "") if isinstance(given, str) else ""
    if text == LAW:
        return TransferRule(LAW, is_fitted=True)
    if text in _EXPONENTS:
        return TransferRule(text, {M: _EXPONENTS[text]} if _EXPONENTS[text] else {})
    if power := re.fullmatch(r"m(?:\^|\*\*)\(?([+-]?\d*\.?\d+)\)?", text):
        return TransferRule(text, {M: float(power[1])})
    if text in PRESETS:
        return TransferRule(text, _exponents(_published(text, path), path, names))
    raise InvalidArgument(
        f'transfer: "{path}": {shown(given)}, expected "constant", "1/m", "1/sqrt(m)", "m", '
        '"sqrt(m)", "m^-0.7", "law", a published law such as "step_law", or a mapping of size to '
        'exponent, such as {"N": -0.7}; a function cannot be stored with the study.'
    )


def role_of(path: str) -> str | None:
    """Return "lr" or "bs" where the name of a parameter says that it is one of them."""
    return _ROLES.get(path.rpartition(".")[2].lower())


def _published(name: str, path: str) -> dict[str, float]:
    """Return the exponents of a published power law."""
    role = role_of(path)
    law = getattr(PRESETS[name], role) if role is not None else None
    if not isinstance(law, Monomial):
        known = [p.name for p in PRESETS.values() if isinstance(p.lr or p.bs, Monomial)]
        raise InvalidArgument(
            f'transfer: "{path}": the published law "{name}" has no power law of it; those of lr '
            f"(learning_rate) or bs (batch_size) are in {', '.join(known)}."
        )
    return {size: x for size, x in (("N", law.n), ("D", law.d)) if x}


def _exponents(given: Mapping[Any, Any], path: str, names: Sequence[str]) -> dict[str, float]:
    known = [M, *names]
    for name, exponent in given.items():
        if name not in known:
            raise InvalidArgument(
                f'transfer: "{path}": {shown(dict(given))} names the size {shown(name)}, but the '
                f"rungs have {', '.join(known)}."
            )
        if not is_number(exponent) or not math.isfinite(exponent):
            raise InvalidArgument(
                f'transfer: "{path}": the exponent of "{name}" is {shown(exponent)}, expected a '
                "finite number."
            )
    return {name: float(exponent) for name, exponent in given.items()}
