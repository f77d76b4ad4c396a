"""Checks the numbers that say how large a trial is: the fidelity and the scale axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunekit.checks import shown
from tunekit.errors import InvalidSpace

if TYPE_CHECKING:
    from tunekit.spaces.domains import Numeric


def check_amount(domain: Numeric, shape: str) -> None:
    """Check `fidelity=` and `scale=` of a number.

    Raises:
        InvalidSpace: an option has the wrong type, or contradicts another.
    """
    if not isinstance(domain.fidelity, bool):
        raise InvalidSpace(f"{shape}: fidelity={shown(domain.fidelity)}, expected True or False.")
    if domain.scale is not None:
        _check_role(domain.scale, shape, is_fidelity=domain.fidelity)
    elif not domain.fidelity:
        return
    what = "a fidelity" if domain.fidelity else "a scale axis"
    if domain.lo <= 0:
        raise InvalidSpace(f"{shape}: {what} is an amount; raise the lower bound above 0.")
    if domain.default is not None or domain.special:
        raise InvalidSpace(
            f"{shape}: the default of {what} is its largest value, and it has no special values; "
            "remove default= and special=."
        )


def _check_role(role: Any, shape: str, *, is_fidelity: bool) -> None:
    if role in ("log", "linear"):
        raise InvalidSpace(
            f'{shape}: scale="{role}", expected the role of a scale axis, such as "N"; for a '
            "logarithmic range give log=True."
        )
    if not isinstance(role, str) or not role.isidentifier():
        raise InvalidSpace(
            f'{shape}: scale={shown(role)}, expected the role of the axis: "N" for parameters, '
            '"D" for tokens, or another name.'
        )
    if is_fidelity:
        raise InvalidSpace(
            f'{shape}: scale="{role}" makes it a fidelity already; remove fidelity=True.'
        )
