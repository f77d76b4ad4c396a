"""What an existing study was made with, against what it is opened with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunekit.errors import StudyExists
from tunekit.records import StudyRecord, StudySpec
from tunekit.storages.base import Storage


def kept_past(record: StudyRecord, earlier: Sequence[str]) -> list[dict[str, Any]]:
    """Return what a study took over when it was made.

    Raises:
        StudyExists: it was not from these studies.
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
) -> None:
    """Refuse to open a study under settings that contradict those it was made with.

    Args:
        storage: where it is.
        record: the study as it is stored.
        spec: what was asked for.
        has_objectives: whether objectives were given.

    Raises:
        StudyExists: they do.
    """
    found = record.spec
    if has_objectives and found.objectives != spec.objectives:
        was = {o.metric: o.direction for o in found.objectives}
        raise StudyExists(
            f'study "{spec.name}" exists with the objectives {was}; use another name.'
        )
    if spec.constraints and found.constraints != spec.constraints:
        was_text = [str(c) for c in found.constraints]
        raise StudyExists(
            f'study "{spec.name}" exists with the constraints {was_text}; use another name.'
        )
    if spec.space is None:
        return
    if found.space is None:
        raise StudyExists(
            f'study "{spec.name}" exists without a declared space (a program discovers it); '
            "leave space= out, or use another name."
        )
    versions = storage.spaces(record.id)
    if spec.space != versions.get(record.space_version, found.space):
        raise StudyExists(
            f'study "{spec.name}" exists with another space; change it with '
            "load_study(...).edit_space(new_space), or use another name."
        )


def check_kept(what: str, kept: int, given: int | None, name: str) -> None:
    """Refuse a number, where one is given, that is not the one the study was made with.

    Raises:
        StudyExists: it is another one.
    """
    if given is not None and given != kept:
        raise StudyExists(
            f'study "{name}" exists with {what} {kept}, not {given}; leave {what}= out, or use '
            "another name."
        )
