"""Reads which earlier studies a new one learns from, and what it takes over from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tunekit.checks import shown
from tunekit.errors import InvalidArgument
from tunekit.records import StudySpec
from tunekit.samplers.base import Sampler
from tunekit.storages.base import Storage
from tunekit.studies.study import Study


def earlier_studies(given: str | Study | Sequence[str | Study]) -> list[str | Study]:
    """Return the earlier studies that `warm_start` names.

    Raises:
        InvalidArgument: it names none, or one twice.
    """
    several = [given] if isinstance(given, str | Study) else given
    if not isinstance(several, Sequence) or not all(isinstance(s, str | Study) for s in several):
        raise InvalidArgument(f"warm_start={shown(given)}, expected names of studies, or studies.")
    found = list(several)
    names = names_of(found)
    if not names or len(set(names)) < len(names):
        raise InvalidArgument(f"warm_start={shown(names)}, expected studies that differ.")
    return found


def learning(spec: StudySpec, sampler: str | Sampler) -> StudySpec:
    """Return the spec with a sampler that can learn from earlier studies.

    With a language model "auto" stays, and passes them on to its model; alone it is "bayesian".

    Raises:
        InvalidArgument: the sampler is an object, or has its own `past`.
    """
    if not isinstance(sampler, str) or "past" in spec.sampler_options:
        raise InvalidArgument(
            "warm_start needs a sampler given by its short name and sets its option past "
            "itself; remove one of them."
        )
    is_alone = sampler == "auto" and "llm" not in spec.sampler_options
    return replace(spec, sampler="bayesian" if is_alone else sampler)


def copied_past(
    storage: Storage, earlier: Sequence[str | Study], spec: StudySpec
) -> list[dict[str, Any]]:
    """Return the trials of earlier studies, for the option `past` of a sampler."""
    from tunekit.studies.warm_start import snapshot  # needs scipy, which other studies do not load

    places = _places(storage, earlier)
    return [snapshot(where, name, spec.objectives).to_dict() for where, name in places]


def with_curves(
    storage: Storage, earlier: Sequence[str | Study], spec: StudySpec
) -> Mapping[str, Any]:
    """Return the options of the stopper, with the curves of earlier studies if it can use them."""
    from tunekit.studies.warm_start import reported_curves

    if spec.stopper != "curve" or "past" in spec.stopper_options:
        return spec.stopper_options
    found = reported_curves(_places(storage, earlier), spec.objectives)
    return {**spec.stopper_options, "past": found}


def names_of(earlier: Sequence[str | Study]) -> list[str]:
    """Return the names of studies."""
    return [s if isinstance(s, str) else s.name for s in earlier]


def _places(storage: Storage, earlier: Sequence[str | Study]) -> list[tuple[Storage, str]]:
    return [(storage, s) if isinstance(s, str) else (s.storage, s.name) for s in earlier]
