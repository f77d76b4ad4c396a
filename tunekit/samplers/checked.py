"""What a sampler gives, checked before anybody stores or runs it; samplers may be anybody's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tunekit.errors import InvalidParams, TunekitError
from tunekit.records import Proposal

if TYPE_CHECKING:
    from tunekit.samplers.base import StudyView


def checked(given: object, name: str, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
    """Return what a sampler of some name gave for some trials, as points in canonical form.

    Raises:
        InvalidParams: they are no proposals, one for each number, or one is no point of the
            space, violates a constraint, or lacks what is fixed for its trial.
    """
    several = given if isinstance(given, Sequence) else ()
    proposals = [p for p in several if isinstance(p, Proposal)]
    if not len(proposals) == len(several) == len(numbers):
        raise InvalidParams(
            f"the sampler {name!r} was asked for {len(numbers)} proposals and gave {given!r}; "
            "expected a list with one Proposal for each number."
        )
    return [_checked(name, view, n, p) for n, p in zip(numbers, proposals, strict=True)]


def _checked(name: str, view: StudyView, number: int, proposal: Proposal) -> Proposal:
    try:
        point = view.space.validate(proposal.params)
    except TunekitError as error:
        raise InvalidParams(
            f"the sampler {name!r} proposed no point of the space for trial {number}: "
            f"{error.message} Correct the sampler or take another."
        ) from None
    for path, value in view.fixed.get(number, {}).items():
        if path not in point or point[path] != value:
            raise InvalidParams(
                f"the sampler {name!r} proposed {dict(point)} for trial {number}, in which the "
                f'parameter "{path}" is fixed at {value!r}; it has to keep what is fixed.'
            )
    return replace(proposal, params=point)
