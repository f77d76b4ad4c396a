"""Checks enqueued points when their turn comes, and keeps or refuses them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tunekit.errors import InvalidParams, TunekitError
from tunekit.identifiers import new_id
from tunekit.records import Outcome, Proposal, TrialRecord, TrialState
from tunekit.samplers.base import StudyView, held
from tunekit.spaces import Params, Scalar, Space
from tunekit.spaces.validate import with_defaults
from tunekit.storages.base import Lease, Tell

log = logging.getLogger("tunekit")

EVIDENCE = "enqueued"
"""Key in the evidence of a define-by-run trial for the names the user gave."""

ANSWERS = "answers"
"""Key in it for the names that the sampler gave values for, such as those of a grid."""


def refusals(leases: Sequence[Lease], space: Space) -> dict[int, Tell]:
    """Return the ends of trials whose points the current space excludes, by number."""
    out: dict[int, Tell] = {}
    for x in leases:
        if x.partial and x.params and (why := _misfit(x.params, space)):
            log.warning("trial %d failed: %s", x.number, why)
            outcome = Outcome(TrialState.FAILED, reason=why)
            out[x.number] = Tell(x.number, x.epoch, outcome, new_id())
    return out


def _misfit(params: Mapping[str, Scalar], space: Space) -> str:
    """Return why a waiting point no longer fits the space, an empty text if it does."""
    try:
        unknown = [path for path in params if path not in space.by_path]
        if unknown:
            raise InvalidParams(f'the space has no parameter "{unknown[0]}" any more.')
        space.complete(params)
    except TunekitError as error:
        return f"its point was enqueued before the space was edited: {error.message}"
    return ""


def known_part(view: StudyView, fixed: Mapping[int, Params]) -> dict[int, Params]:
    """Return the parts of points that a sampler can keep in a space being discovered.

    It omits names not asked for so far, values that have not been valid answers so far, and
    parameters that the given switches deactivate: the program decides on these.
    """
    out: dict[int, Params] = {}
    for number, params in fixed.items():
        valid = {path: v for path, v in params.items() if _is_valid(view.space, path, v)}
        asked = replace(view, fixed={number: Params(valid, view.space)})
        point = with_defaults(held(asked, number) or {}, view.space.parameters)
        out[number] = Params(
            {path: v for path, v in valid.items() if path in dict(point)}, view.space
        )
    return out


def credited(
    proposal: Proposal, fixed: Params | None, parent: TrialRecord | None, *, is_open: bool
) -> Proposal:
    """Credit an enqueued point to the user, in an open study with the given names.

    A branch of a parent trial inherits its values, and the user gave those that differ.
    """
    if not fixed:
        return proposal
    evidence, filled = proposal.evidence, len(proposal.params) - len(fixed)
    rest = f"; {filled} further values by {proposal.sampler}" if filled > 0 else ""
    if is_open:  # the program's further questions are not known yet
        theirs: Mapping[str, Scalar] = (parent.params if parent is not None else None) or {}
        own = [n for n, v in fixed.items() if n not in theirs or theirs[n] != v]
        rest = f": {', '.join(own) or 'a branch'}; anything else by {proposal.sampler}, or drawn"
        evidence = {**evidence, EVIDENCE: own}
    reason = f"enqueued by the user{rest}"
    return replace(proposal, sampler="user", reason=reason, evidence=evidence)


def _is_valid(space: Space, path: str, value: Scalar) -> bool:
    if path not in space.by_path:
        return False
    try:
        space.by_path[path].domain.validate(value, path)
    except InvalidParams:
        return False
    return True
