"""Trials that begin from a checkpoint of another one, at a person's wish."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.errors import InvalidArgument, UnknownTrial
from tunekit.ledger import Ledger
from tunekit.spaces import Parameter, Params, Scalar, Space, walk
from tunekit.trial import Branch, TrialRecord


def enqueue(
    ledger: Ledger,
    params: Mapping[str, object],
    branch_from: tuple[int, int],
    *,
    user_attrs: Mapping[str, Any],
) -> int:
    """Put a branch into the queue and copy the checkpoint; see `Study.enqueue_trial`."""
    ledger.refresh()
    ledger.refresh_space()
    branch = _checked(branch_from)
    parent = ledger.history.get(branch.number)
    if parent is None or parent.params is None:
        raise UnknownTrial(
            f"branch_from={branch_from!r}: study {ledger.record.spec.name!r} has no trial "
            f"{branch.number} that has run; see study.trials."
        )
    ledger.keeper.check(parent, branch.step)
    if ledger.is_open:
        given: Mapping[str, object] = {**parent.params, **params}
    else:
        given = _completed(ledger.space, params, parent)
    storage, study_id = ledger.storage, ledger.record.id
    number = storage.enqueue(study_id, [given], user_attrs=user_attrs, branch=branch)[0]
    # Now, because the parent may drop its checkpoint before the trial starts. If we die in
    # between, whoever starts it copies the checkpoint then.
    ledger.keeper.graft(number, branch, parent)
    return number


def _checked(branch_from: object) -> Branch:
    if isinstance(branch_from, tuple | list) and len(branch_from) == 2:
        number, step = branch_from
        if type(number) is int and type(step) is int:
            return Branch(number, step)
    raise InvalidArgument(
        f"branch_from={branch_from!r}, expected the number of a trial and the step of one of its "
        "checkpoints; give such as (3, 20)."
    )


def _completed(space: Space, params: Mapping[str, object], parent: TrialRecord) -> Params:
    """Return the point with the parent's values where it leaves parameters open."""
    full = space.complete(params)  # checks names, values and activity
    named = {space.resolve(name) for name in params}
    theirs = parent.params or Params()

    def pick(parameter: Parameter, _: Mapping[str, Scalar]) -> Scalar:
        path = parameter.path
        if path not in named and path in theirs:
            return parameter.domain.validate(theirs[path], path)
        return full[path] if path in full else parameter.domain.default_value()

    return space.complete(walk(space, pick))
