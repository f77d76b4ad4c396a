"""Checks a sampler's proposals before they are stored or run, as samplers may be third-party."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tunekit.errors import InvalidParams, TunekitError
from tunekit.records import Proposal

if TYPE_CHECKING:
    from tunekit.samplers.base import StudyView

UNKNOWN_SPACE = "no trial has asked for a parameter yet, so all values are uniform random draws"


def checked(given: object, name: str, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
    """Return the proposals a sampler gave for trials, as points in canonical form.

    Raises:
        InvalidParams: `given` is not a list with one proposal per number, or a proposal is not a
            point of the space, violates a constraint, or changes a value fixed for its trial.
    """
    several = given if isinstance(given, Sequence) else ()
    proposals = [p for p in several if isinstance(p, Proposal)]
    if not len(proposals) == len(several) == len(numbers):
        raise InvalidParams(
            f"the sampler {name!r} was asked for {len(numbers)} proposals and returned {given!r}; "
            "expected a list with one Proposal for each number."
        )
    return [_checked(name, view, n, p) for n, p in zip(numbers, proposals, strict=True)]


def _checked(name: str, view: StudyView, number: int, proposal: Proposal) -> Proposal:
    try:
        point = view.space.validate(proposal.params)
    except TunekitError as error:
        raise InvalidParams(
            f"the sampler {name!r} proposed an invalid point for trial {number}: "
            f"{error.message} Fix the sampler or use another."
        ) from None
    for path, value in view.fixed.get(number, {}).items():
        if path not in point or point[path] != value:
            raise InvalidParams(
                f"the sampler {name!r} proposed {dict(point)} for trial {number}, whose "
                f'parameter "{path}" is fixed at {value!r}; make it keep fixed values.'
            )
    # Parameters that no trial has asked for yet are drawn where the program asks for them.
    reason = proposal.reason if len(view.space) or proposal.answers else UNKNOWN_SPACE
    return replace(proposal, params=point, reason=reason)
