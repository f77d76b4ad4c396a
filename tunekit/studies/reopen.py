"""Compares the settings of an existing study with those it is opened with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from tunekit.checks import shown
from tunekit.errors import InvalidArgument, StudyExists, TrialConflict, UnknownStudy
from tunekit.records import UNNAMED, ObjectiveSpec, StudyRecord, StudySpec, TrialRecord, TrialState
from tunekit.spaces import Space
from tunekit.storages.base import Storage


def kept_past(record: StudyRecord, earlier: Sequence[str]) -> list[dict[str, Any]]:
    """Return the earlier trials that a study took over at its creation.

    Raises:
        StudyExists: they came from other studies.
    """
    past: list[dict[str, Any]] = list(record.spec.sampler_options.get("past", []))
    was = [p["study"] for p in past]
    if was != list(earlier):
        raise StudyExists(
            f'study "{record.spec.name}" exists with warm_start={was}, not {list(earlier)}; leave '
            "warm_start= out, or use another name."
        )
    return past


def check_same(
    storage: Storage,
    record: StudyRecord,
    spec: StudySpec,
    *,
    has_objectives: bool,
) -> StudyRecord:
    """Check that given settings do not contradict those of an existing study.

    As long as no trial is complete, different objectives and constraints replace the stored
    ones, since nothing was measured by those.

    Args:
        storage: storage of the study.
        record: the stored study.
        spec: requested settings.
        has_objectives: whether objectives were given.

    Returns:
        The study as stored now.

    Raises:
        StudyExists: they do.
    """
    record = _with_goal(storage, record, spec, has_objectives=has_objectives)
    _check_space(storage, record, spec)
    return record


def renamed(storage: Storage, record: StudyRecord, names: Sequence[str]) -> StudyRecord:
    """Rename the objectives of a study; return the study as stored now.

    Raises:
        InvalidArgument: another number of names, a name twice, or a trial is complete.
    """
    texts = list(names)
    n = len(record.spec.objectives)
    if len(set(texts)) != n or not all(isinstance(name, str) for name in texts):
        raise InvalidArgument(
            f"metric_names={shown(names)}, expected {n} different texts, one for each objective "
            "in "
            "their order."
        )

    def with_names(found: StudySpec, complete: Sequence[TrialRecord]) -> StudySpec:
        if complete:
            raise InvalidArgument(
                f'metric_names={shown(names)}: study "{found.name}" has complete trials, whose '
                f"metrics go by the names {[o.metric for o in found.objectives]}; name them "
                "before "
                "it runs."
            )
        pairs = zip(found.objectives, texts, strict=True)
        return replace(found, objectives=tuple(replace(o, metric=name) for o, name in pairs))

    return _changed(storage, record, with_names)


def _with_goal(
    storage: Storage, record: StudyRecord, spec: StudySpec, *, has_objectives: bool
) -> StudyRecord:
    """Return the study with the goal that was asked for, if it has it or may take it over."""

    def with_goal(found: StudySpec, complete: Sequence[TrialRecord]) -> StudySpec:
        objectives = spec.objectives if has_objectives else found.objectives
        constraints = spec.constraints or found.constraints
        names_it = constraints == found.constraints and _names(found, objectives, complete)
        if complete and not names_it:
            if objectives != found.objectives:
                was = {o.metric: o.direction for o in found.objectives}
                raise StudyExists(
                    f'study "{spec.name}" exists with the objectives {was}; use another name.'
                )
            if constraints != found.constraints:
                was_text = [str(c) for c in found.constraints]
                raise StudyExists(
                    f'study "{spec.name}" exists with the constraints {was_text}; use another '
                    "name."
                )
        return replace(found, objectives=objectives, constraints=constraints)

    has_goal = with_goal(record.spec, ()) == record.spec
    return record if has_goal else _changed(storage, record, with_goal)


def _changed(
    storage: Storage,
    record: StudyRecord,
    change: Callable[[StudySpec, Sequence[TrialRecord]], StudySpec],
) -> StudyRecord:
    """Store the spec that `change` makes of the current one and the complete trials.

    It is made again whenever the study changes in between, so that no trial ends unnoticed.
    """
    while True:
        changes = storage.changes(record.id)
        spec = change(record.spec, [t for t in changes.trials if t.state is TrialState.COMPLETE])
        with suppress(TrialConflict):
            storage.set_goal(record.id, spec, expected_seq=record.seq)
            return storage.get_study(spec.name)
        record = storage.get_study(record.spec.name)


def _names(
    found: StudySpec, objectives: Sequence[ObjectiveSpec], complete: Sequence[TrialRecord]
) -> bool:
    """Return whether the objectives only name an unnamed one, by what its trials returned."""
    ours = found.objectives
    if len(ours) != 1 or len(objectives) != 1 or ours[0].metric != UNNAMED:
        return False
    new = objectives[0]
    return new.direction == ours[0].direction and all(
        t.metrics.get(new.metric) == t.metrics.get(UNNAMED) for t in complete
    )


def _check_space(storage: Storage, record: StudyRecord, spec: StudySpec) -> None:
    found = record.spec
    if spec.space is None:
        return
    if found.space is None:
        raise StudyExists(
            f'study "{spec.name}" exists without a declared space (a program discovers it); '
            "leave space= out, or use another name."
        )
    versions = storage.spaces(record.id)
    if spec.space == versions.get(record.space_version, found.space):
        return
    if spec.space in versions.values():
        raise StudyExists(
            f'study "{spec.name}" was created with this space and is at version '
            f"{record.space_version} of it now; leave space= out to go on (`tunekit resume "
            f"{spec.name}`), give the space as it is now, or use another name."
        )
    raise StudyExists(
        f'study "{spec.name}" exists with another space; change it with '
        "load_study(...).edit_space(new_space), or use another name."
    )


def edited_since(storage: Storage, name: str, space: Space) -> Space:
    """Return the space of a study as it is now if it once was the given one, else that one."""
    try:
        record = storage.get_study(name)
    except UnknownStudy:
        return space
    versions = storage.spaces(record.id)
    return versions[record.space_version] if space in versions.values() else space


def check_kept(what: str, kept: int, given: int | None, name: str) -> None:
    """Check that a given number equals the study's.

    Raises:
        StudyExists: it differs.
    """
    if given is not None and given != kept:
        raise StudyExists(
            f'study "{name}" exists with {what} {kept}, not {given}; leave {what}= out, or use '
            "another name."
        )


def check_new(storage: Storage, name: str, *, load_if_exists: bool) -> None:
    """Check that a study that must be new does not exist.

    Raises:
        StudyExists: it does.
    """
    if load_if_exists:
        return
    with suppress(UnknownStudy):
        storage.get_study(name)
        raise StudyExists(
            f'study "{name}" exists and load_if_exists=False was given; remove it to continue the '
            "study, or use another name."
        )
