"""Defines the entry points `study` and `load_study`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from tunekit import registry
from tunekit.checkpoints.base import Checkpoints
from tunekit.checkpoints.places import open_place
from tunekit.checks import check_whole, count, share, shown, texts
from tunekit.errors import InvalidArgument, StudyExists, UnknownStudy
from tunekit.identifiers import new_id
from tunekit.optuna_names.words import plain_directions
from tunekit.records import (
    AUDIT,
    UNNAMED,
    Direction,
    MetricConstraint,
    ObjectiveSpec,
    StudyRecord,
    StudySpec,
)
from tunekit.samplers.base import Sampler
from tunekit.spaces import Space
from tunekit.stoppers.base import Stopper, check_works
from tunekit.storages.base import Storage
from tunekit.studies.arguments import json_mapping, one_of
from tunekit.studies.catalogue import name_of, storage_of
from tunekit.studies.earlier import (
    copied_past,
    earlier_studies,
    learning,
    names_of,
    with_curves,
)
from tunekit.studies.examples import with_examples, with_kept_examples
from tunekit.studies.optuna_objects import adopted, own_seed
from tunekit.studies.reopen import check_kept, check_new, check_same, kept_past
from tunekit.studies.study import Study

Objectives = str | Sequence[str] | Mapping[str, Direction]


def study(
    name: str | None = None,
    *,
    space: Space | Mapping[str, object] | None = None,
    objectives: Objectives | None = None,
    direction: Direction | None = None,
    directions: Sequence[Direction] | None = None,
    constraints: Sequence[str] | None = None,
    storage: str | Path | Storage | None = None,
    sampler: str | Sampler | None = None,
    sampler_options: Mapping[str, Any] | None = None,
    stopper: str | Stopper | Sequence[str | Stopper] | None = None,
    stopper_options: Mapping[str, Any] | None = None,
    audit: float | None = None,
    seed: int | None = None,
    max_retries: int | None = None,
    attrs: Mapping[str, Any] | None = None,
    warm_start: str | Study | Sequence[str | Study] | None = None,
    checkpoints: str | Path | Checkpoints | None = None,
    study_name: str | None = None,
    load_if_exists: bool = True,
    pruner: str | Stopper | Sequence[str | Stopper] | None = None,
) -> Study:
    """Open the named study, or create it.

    An existing study keeps its settings. Its space, objectives, constraints, seed and
    max_retries, if given again, must be the same. Its attrs are kept and those given are
    ignored; change them with `Study.set_user_attr`. A given sampler, stopper or audit replaces
    the study's own for this object only. The place of checkpoints is never stored.

    Args:
        name: unique in the storage; by default a new unique name.
        space: the declared space; by default the objective's `suggest_*` calls discover it.
        objectives: `{"error": "minimize", ...}`; a name or a list of names is minimised.
        direction: short for one objective named "value".
        directions: short for objectives named "value_0", "value_1", ...
        constraints: bounds on measured metrics, such as `"latency_ms <= 8"`.
        storage: URL or path; by default the environment's `TUNEKIT_URL`, else in memory.
        sampler: a short name, an instance, or an Optuna sampler, whose seed becomes that of a
            new study; by default the study's own, or "auto" for a new study.
        sampler_options: keyword arguments of a sampler given by short name; without `sampler`,
            they replace some of the study's own.
        stopper: a short name, an instance, or a list of them; the first that stops a trial
            wins: `["threshold", "asha"]`. By default the study's own, or none for a new study;
            `[]` stops nothing. "auto" is ASHA with eta=2 from the fourth report on. Instances
            are not stored.
        stopper_options: keyword arguments of a stopper given by short name; for a list, by
            short name: `{"asha": {"eta": 3}}`.
        audit: share of the condemned trials that run on, so that `Study.stop_audit` can count
            wrong verdicts; by default the study's own, or 0.05 for a new study (0 with
            `pruner`, which prunes all, as in Optuna).
        seed: seed of every random draw; by default a random one, stored with the study.
        max_retries: number of further runs of a trial whose worker vanished, before the trial
            is LOST; by default 2.
        attrs: plain JSON stored with a new study.
        warm_start: earlier studies to learn from, by name in the same storage or as objects;
            their spaces may differ. Their results are copied when the study is created. The
            sampler "auto" then becomes "bayesian", which can use them, and with a language model
            passes them on to both; the stopper "curve" learns from their curves.
        checkpoints: a folder or URI for `trial.save_checkpoint`, or `Checkpoints(root,
            keep_best=...)`; to change it later, move the contents first.
        study_name: Optuna's word for `name`.
        load_if_exists: `False` raises if the study exists.
        pruner: Optuna's word for `stopper`; both accept an Optuna pruner.

    Raises:
        InvalidArgument: an argument is invalid, or the study was created with a sampler object
            and none is given.
        StudyExists: the study exists with another space, seed, max_retries, objectives or
            constraints, or `load_if_exists` is `False`.
        StorageError: the storage cannot be opened.
    """
    name = one_of(name, study_name, ("name", "study_name"))
    stopper = one_of(stopper, pruner, ("stopper", "pruner"))
    sampler = adopted(sampler)
    if space is not None and not isinstance(space, Space):
        space = Space(space)
    check_whole(seed, "seed", optional=True)
    retries = count(max_retries, "max_retries")
    share_audited = share(0.0 if audit is None and pruner is not None else audit, "audit")
    named_stopper, named_options = _named_stopper(stopper, stopper_options)
    proposer = "auto" if sampler is None else sampler
    spec = StudySpec(
        name=_checked_name(name),
        objectives=_objectives(objectives, direction, directions),
        constraints=tuple(MetricConstraint.parse(c) for c in texts(constraints, "constraints")),
        space=space,
        seed=own_seed(sampler) if seed is None else seed,
        sampler=proposer if isinstance(proposer, str) else type(proposer).__name__,
        sampler_options=json_mapping(sampler_options, "sampler_options"),
        max_retries=2 if retries is None else retries,
        stopper=named_stopper,
        stopper_options=json_mapping(named_options, "stopper_options"),
        audit=AUDIT if share_audited is None else share_audited,
        attrs=json_mapping(attrs, "attrs"),
    )
    rule = _stopper(stopper, stopper_options)
    kept = _checkpoints(checkpoints)
    if warm_start is None:
        decider = None if sampler is None else _sampler(sampler, spec.sampler_options)
        opened = storage_of(storage)
        check_new(opened, spec.name, load_if_exists=load_if_exists)
        record = _found(opened, spec.name)
        if record is None:
            check_works(rule, spec.objectives)
            decider = decider or _sampler(proposer, spec.sampler_options)
            record = _created(opened, with_examples(opened, spec))
        kept_options = with_kept_examples(spec, record.spec)
        if isinstance(sampler, str) and kept_options != spec.sampler_options:
            decider = _sampler(sampler, kept_options)
    else:
        earlier = earlier_studies(warm_start)
        spec = learning(spec, proposer)
        opened = storage_of(storage)
        check_new(opened, spec.name, load_if_exists=load_if_exists)
        if _found(opened, spec.name) is None:
            check_works(rule, spec.objectives)
        record, decider = _warm(opened, spec, earlier)
        if spec.stopper == "curve":  # it has the earlier studies' curves
            rule = _stopper("curve", {**record.spec.stopper_options})
    has_objectives = any(x is not None for x in (objectives, direction, directions))
    record = check_same(opened, record, spec, has_objectives=has_objectives)
    check_kept("seed", record.spec.seed, seed, spec.name)
    check_kept("max_retries", record.spec.max_retries, retries, spec.name)
    if decider is None or sampler is None:
        decider = _own_sampler(record.spec, sampler_options)
    if stopper is None:
        rule = _own_stopper(record.spec)
    check_works(rule, record.spec.objectives)
    return Study(opened, record, decider, rule, kept, audit=share_audited)


def _found(storage: Storage, name: str) -> StudyRecord | None:
    try:
        return storage.get_study(name)
    except UnknownStudy:
        return None


def _created(storage: Storage, spec: StudySpec) -> StudyRecord:
    try:
        return storage.create_study(spec)
    except StudyExists:  # another process was quicker
        return storage.get_study(spec.name)


def load_study(
    name: str | None = None,
    *,
    storage: str | Path | Storage | None = None,
    sampler: str | Sampler | None = None,
    stopper: str | Stopper | Sequence[str | Stopper] | None = None,
    stopper_options: Mapping[str, Any] | None = None,
    checkpoints: str | Path | Checkpoints | None = None,
    study_name: str | None = None,
    pruner: str | Stopper | Sequence[str | Stopper] | None = None,
) -> Study:
    """Open an existing study with its own settings.

    Args:
        name: name of the study.
        storage: URL or path; by default the environment's `TUNEKIT_URL`.
        sampler: sampler to use instead of the study's own.
        stopper: stopper to use instead of the study's own: a short name, an instance or a list;
            `[]` stops nothing. A study created with a stopper instance has no stopper of its
            own.
        stopper_options: keyword arguments of a stopper given by short name.
        checkpoints: current place of the trials' checkpoints.
        study_name: Optuna's word for `name`.
        pruner: Optuna's word for `stopper`.

    Raises:
        UnknownStudy: the study does not exist; the message suggests the closest name.
        StorageError: the storage cannot be opened.
    """
    stopper = one_of(stopper, pruner, ("stopper", "pruner"))
    opened = storage_of(storage, must_exist=True)
    record = opened.get_study(name_of(name, study_name))
    decider = _own_sampler(record.spec) if sampler is None else _sampler(sampler, {})
    is_own = stopper is None and not stopper_options
    rule = _own_stopper(record.spec) if is_own else _stopper(stopper, stopper_options)
    check_works(rule, record.spec.objectives)
    return Study(opened, record, decider, rule, _checkpoints(checkpoints))


def _own_sampler(spec: StudySpec, options: Mapping[str, Any] | None = None) -> Sampler:
    """Return the sampler of a stored study, with some of its options replaced."""
    if not registry.is_name("sampler", spec.sampler):
        raise InvalidArgument(
            f'study "{spec.name}" was created with the sampler object {spec.sampler}, which has '
            "no short name; give sampler=..."
        )
    return _sampler(spec.sampler, {**spec.sampler_options, **(options or {})})


def _own_stopper(spec: StudySpec) -> Stopper | None:
    """Return the stopper of a stored study, `None` if it was an object."""
    return _stopper(spec.stopper or None, spec.stopper_options)


def _checked_name(name: str | None) -> str:
    if name is None:
        return f"study-{new_id(6)}"
    if not isinstance(name, str) or not name.strip() or len(name) > 200 or not name.isprintable():
        raise InvalidArgument(
            f"the study name is {shown(name)}; expected 1 to 200 printable characters."
        )
    return name


def _objectives(
    objectives: Objectives | None,
    direction: Direction | None,
    directions: Sequence[Direction] | None,
) -> tuple[ObjectiveSpec, ...]:
    if sum(x is not None for x in (objectives, direction, directions)) > 1:
        raise InvalidArgument("give only one of objectives=, direction= and directions=.")
    if isinstance(objectives, str):
        found = [ObjectiveSpec(objectives)]
    elif isinstance(objectives, Mapping):
        found = [ObjectiveSpec(metric, way) for metric, way in objectives.items()]
    elif objectives is not None:
        found = [ObjectiveSpec(metric) for metric in texts(objectives, "objectives")]
    elif directions is not None:
        ways = texts(plain_directions(directions), "directions")
        one = len(ways) == 1
        found = [
            ObjectiveSpec(UNNAMED if one else f"value_{i}", cast(Direction, way))
            for i, way in enumerate(ways)
        ]
    else:
        found = [ObjectiveSpec(UNNAMED, "minimize" if direction is None else direction)]
    metrics = [o.metric for o in found]
    if not found or len(set(metrics)) < len(metrics):
        raise InvalidArgument(
            f"objectives={shown(objectives)}, expected one or more different metrics."
        )
    for metric in metrics:
        if not isinstance(metric, str) or not metric:
            raise InvalidArgument(f"the objective {shown(metric)} must be the name of a metric.")
    return tuple(found)


def _sampler(sampler: str | Sampler, options: Mapping[str, Any]) -> Sampler:
    if isinstance(sampler, str):
        made: Sampler = registry.make("sampler", sampler, options)
        return made
    if options:
        raise InvalidArgument(
            "sampler_options need a sampler's short name; pass them to the object itself."
        )
    found: Sampler = adopted(sampler)
    if not callable(getattr(found, "suggest", None)):
        raise InvalidArgument(f"sampler={shown(sampler)}, expected a short name or a Sampler.")
    return found


def _warm(
    storage: Storage, spec: StudySpec, earlier: Sequence[str | Study]
) -> tuple[StudyRecord, Sampler]:
    """Return the study with the results of earlier ones, and its sampler."""
    found = _found(storage, spec.name)
    past = (
        copied_past(storage, earlier, spec)
        if found is None
        else kept_past(found, names_of(earlier))
    )
    options = {**spec.sampler_options, "past": past}
    decider = _sampler(spec.sampler, options)
    rule_options = spec.stopper_options if found else with_curves(storage, earlier, spec)
    new = replace(spec, sampler_options=options, stopper_options=rule_options)
    record = found or _created(storage, new)
    stored = kept_past(record, names_of(earlier))
    if stored != past:  # another process was faster, with another copy
        decider = _sampler(spec.sampler, {**options, "past": stored})
    return record, decider


def _named_stopper(
    stopper: str | Stopper | Sequence[str | Stopper] | None, options: Mapping[str, Any] | None
) -> tuple[str, Mapping[str, Any]]:
    """Return the name and the options under which a stopper is stored; none for instances."""
    if isinstance(stopper, str):
        return stopper, options or {}
    if isinstance(stopper, Sequence) and stopper and all(isinstance(s, str) for s in stopper):
        return "first", {"stoppers": list(stopper), "options": dict(options or {})}
    return "", {}


def _stopper(
    stopper: str | Stopper | Sequence[str | Stopper] | None, options: Mapping[str, Any] | None
) -> Stopper | None:
    if isinstance(stopper, str):
        made: Stopper = registry.make("stopper", stopper, options)
        return made
    if isinstance(stopper, Sequence) and stopper:
        made = registry.make("stopper", "first", {"stoppers": list(stopper), "options": options})
        return made
    if options:
        raise InvalidArgument(
            "stopper_options need a stopper's short name; pass them to the object itself, or "
            "name a stopper."
        )
    if isinstance(stopper, Sequence):
        return None
    found: Stopper | None = adopted(stopper)
    if found is not None and not callable(getattr(found, "decide", None)):
        raise InvalidArgument(f"stopper={shown(stopper)}, expected a short name or a Stopper.")
    return found


def _checkpoints(given: str | Path | Checkpoints | None) -> Checkpoints | None:
    """Return the place of checkpoints; one that cannot be opened is rejected here."""
    if given is None:
        return None
    found = given if isinstance(given, Checkpoints) else Checkpoints(given)
    open_place(str(found.root))
    return found
