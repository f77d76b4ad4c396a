"""Enqueues points given by a person: new ones, and branches of existing trials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.checks import shown
from tunekit.driver.worker import Worker
from tunekit.errors import InvalidArgument, InvalidParams, UnknownTrial
from tunekit.records import Branch, TrialRecord
from tunekit.spaces import Parameter, Params, Scalar, Space, walk
from tunekit.spaces.domains import plain


def enqueue(
    worker: Worker,
    params: Mapping[str, object],
    branch_from: tuple[int, int] | None,
    *,
    user_attrs: Mapping[str, Any],
    skip_if_exists: bool = False,
) -> int:
    """Put a point into the queue and return its number; see `Study.enqueue_trial`."""
    worker.reader.refresh()
    if branch_from is not None:
        worker.reader.refresh_space()
        return _branched(worker, params, branch_from, user_attrs)
    given = given_point(worker, params)
    if skip_if_exists and (same := _same(worker, given)) is not None:
        return same
    return worker.reader.storage.enqueue(worker.reader.record.id, [given], user_attrs=user_attrs)[
        0
    ]


def given_point(worker: Worker, params: Mapping[str, object]) -> Mapping[str, Any]:
    """Return a point or a part of one by full paths.

    Raises:
        UnknownParameter: a name that the space does not have.
        InvalidParams: a value outside its domain, or points that cannot be completed.
    """
    worker.reader.refresh_space()
    if worker.reader.is_open:
        return _answers(worker.reader.space, params)
    full = worker.reader.space.complete(params)  # checks names, values and activity
    named = {worker.reader.space.resolve(name) for name in params}
    return {path: value for path, value in full.items() if path in named}


def _same(worker: Worker, given: Mapping[str, object]) -> int | None:
    """Return the first trial that has or had all these values, whatever became of it."""
    for trial in worker.reader.history:
        theirs = trial.params
        if theirs is not None and all(k in theirs and theirs[k] == v for k, v in given.items()):
            return trial.number
    return None


def _answers(space: Space, params: Mapping[str, object]) -> dict[str, object]:
    """Return a point for a program, without what its space as far as it is known excludes."""
    if not isinstance(params, Mapping):
        raise InvalidParams(f"got {shown(params)}, expected a mapping of parameter to value.")
    out: dict[str, object] = {}
    for name, value in params.items():
        if not isinstance(name, str):
            raise InvalidParams(f"got the name {shown(name)}, expected a text.")
        try:
            out[name] = plain(value)
        except TypeError:
            raise InvalidParams(
                f'parameter "{name}": got {shown(value)}, expected a text, a number, a bool or '
                "None."
            ) from None
        if name in space.by_path:
            out[name] = space.by_path[name].domain.validate(value, name)
    return out


def _branched(
    worker: Worker,
    params: Mapping[str, object],
    branch_from: tuple[int, int],
    user_attrs: Mapping[str, Any],
) -> int:
    branch = _checked(branch_from)
    parent = worker.reader.history.get(branch.number)
    if parent is None or parent.params is None:
        raise UnknownTrial(
            f"branch_from={shown(branch_from)}: study {worker.reader.record.spec.name!r} has no "
            "trial "
            f"{branch.number} that has run; see study.trials."
        )
    worker.checkpoints.check(parent, branch.step)
    if worker.reader.is_open:
        given: Mapping[str, object] = {**parent.params, **_answers(worker.reader.space, params)}
    else:
        given = _completed(worker.reader.space, params, parent)
    storage, study_id = worker.reader.storage, worker.reader.record.id
    number = storage.enqueue(study_id, [given], user_attrs=user_attrs, branch=branch)[0]
    # Now, because the parent may drop its checkpoint before the trial starts. If we die in
    # between, whoever starts it copies the checkpoint then.
    worker.checkpoints.copy_branch(number, branch, parent)
    return number


def _checked(branch_from: object) -> Branch:
    if isinstance(branch_from, tuple | list) and len(branch_from) == 2:
        number, step = branch_from
        if type(number) is int and type(step) is int:
            return Branch(number, step)
    raise InvalidArgument(
        f"branch_from={shown(branch_from)}, expected the number of a trial and the step of one "
        "of its "
        "checkpoints, such as (3, 20)."
    )


def _completed(space: Space, params: Mapping[str, object], parent: TrialRecord) -> Params:
    """Return the point completed by the parent's values."""
    full = space.complete(params)  # checks names, values and activity
    named = {space.resolve(name) for name in params}
    theirs = parent.params or Params()

    def pick(parameter: Parameter, _: Mapping[str, Scalar]) -> Scalar:
        path = parameter.path
        if path not in named and path in theirs:
            return parameter.domain.validate(theirs[path], path)
        return full[path] if path in full else parameter.domain.default_value()

    return space.complete(walk(space, pick))
