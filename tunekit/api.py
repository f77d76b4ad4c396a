"""The entry points `study` and `load_study`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from tunekit import registry
from tunekit.checkpoints.base import Checkpoints
from tunekit.checkpoints.places import open_place
from tunekit.checks import check_whole, count, share, shown, texts
from tunekit.errors import InvalidArgument, StudyExists, UnknownStudy
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

    An existing study stays as it was made. What is given again must be the same: its space,
    objectives, constraints, seed and max_retries. The attrs of a study that exists are kept and
    those given are not used; `Study.set_user_attr` changes them. Its sampler, stopper and audit
    are its own where none is given; others that are given propose and judge for this object only.
    The place of checkpoints is never stored.

    Args:
        name: unique in the storage; a new unique name where none is given.
        space: the declared space; without one, the objective's `suggest_*` calls discover it.
        objectives: `{"error": "minimize", ...}`; a name or a list of names is minimised.
        direction: short for one objective called "value".
        directions: short for objectives called "value_0", "value_1", ...
        constraints: bounds on measured metrics, such as `"latency_ms <= 8"`.
        storage: URL or path; `None` is the environment's `TUNEKIT_URL`, else in memory.
        sampler: a short name, an instance, or an object of Optuna's, whose seed keys a new
            study; where it is not given, the study's own, or "auto" for a new one.
        sampler_options: keyword arguments of a sampler that is given by its short name, or that
            replace some of the study's own.
        stopper: a short name, an instance, or a list of them, of which the first that stops a
            trial wins: `["threshold", "asha"]`. Where it is not given, the study's own, or none
            for a new one; `[]` stops nothing. "auto" is ASHA with eta=2 from the fourth report
            on. An instance is not stored.
        stopper_options: keyword arguments of a stopper that is given by its short name; for a
            list, by short name: `{"asha": {"eta": 3}}`.
        audit: share of the trials that the stopper condemns and that run on all the same, so
            that `Study.stop_audit` can say how often it is wrong; where it is not given, the
            study's own, or 0.05 for a new one (0 with `pruner`: it prunes all, as in Optuna).
        seed: keys every random draw; a random one, kept in the study, where it is not given.
        max_retries: how often a trial whose worker vanished runs again before it is LOST;
            2 where it is not given.
        attrs: plain JSON kept with a study that is new.
        warm_start: earlier studies to learn from, by name in the same storage or as objects;
            their spaces may differ. What they have found is copied when the study is made. The
            sampler "auto" becomes "bayesian" then, which can use it; the stopper "curve" takes
            over their curves.
        checkpoints: a folder or URI for `trial.save_checkpoint`, or `Checkpoints(root,
            keep_best=...)`; it may be another one later, if its contents were moved there.
        study_name: Optuna's word for `name`.
        load_if_exists: with `False`, a study of that name is an error.
        pruner: Optuna's word for `stopper`; both take an object of Optuna's pruners.

    Raises:
        InvalidArgument: an argument that cannot be right, or the study was made with a sampler
            object and none is given.
        StudyExists: the study exists with another space, seed or max_retries, or other
            objectives or constraints; or it was to be new.
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
            record = _created(opened, spec)
    else:
        earlier = _earlier(warm_start)
        spec = _learning(spec, proposer)
        opened = storage_of(storage)
        check_new(opened, spec.name, load_if_exists=load_if_exists)
        if _found(opened, spec.name) is None:
            check_works(rule, spec.objectives)
        record, decider = _warm(opened, spec, earlier)
        if spec.stopper == "curve":  # it has taken over curves
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
    """Open an existing study with the settings that it was made with.

    Args:
        name: of the study.
        storage: URL or path; `None` is the environment's `TUNEKIT_URL`.
        sampler: another sampler than the study's own.
        stopper: another stopper than the study's own: a short name, an instance or a list, of
            which an empty one stops nothing. A study that was made with an instance has none of
            its own.
        stopper_options: keyword arguments of a stopper that is given by its short name.
        checkpoints: where its trials' checkpoints are now.
        study_name: Optuna's word for `name`.
        pruner: Optuna's word for `stopper`.

    Raises:
        UnknownStudy: no study of that name; the message has the closest one.
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
    """Return the sampler that a stored study was made with, some of its options replaced."""
    if spec.sampler not in registry.names("sampler"):
        raise InvalidArgument(
            f'study "{spec.name}" was made with the sampler object {spec.sampler}, which has no '
            "short name; give sampler=... ."
        )
    return _sampler(spec.sampler, {**spec.sampler_options, **(options or {})})


def _own_stopper(spec: StudySpec) -> Stopper | None:
    """Return the stopper that a stored study was made with; one that was an object is none."""
    return _stopper(spec.stopper or None, spec.stopper_options)


def _checked_name(name: str | None) -> str:
    if name is None:
        return f"study-{uuid4().hex[:12]}"
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


def _earlier(given: str | Study | Sequence[str | Study]) -> list[str | Study]:
    """Return the earlier studies that were named, each once."""
    several = [given] if isinstance(given, str | Study) else given
    if not isinstance(several, Sequence) or not all(isinstance(s, str | Study) for s in several):
        raise InvalidArgument(f"warm_start={shown(given)}, expected names of studies, or studies.")
    names = [s if isinstance(s, str) else s.name for s in several]
    if not names or len(set(names)) < len(names):
        raise InvalidArgument(f"warm_start={shown(names)}, expected studies that differ.")
    return list(several)


def _learning(spec: StudySpec, sampler: str | Sampler) -> StudySpec:
    """Return the spec with a sampler that can learn from earlier studies."""
    if not isinstance(sampler, str) or "past" in spec.sampler_options:
        raise InvalidArgument(
            "warm_start needs a sampler given by its short name and sets its option past "
            "itself; remove one of them."
        )
    return replace(spec, sampler="bayesian" if sampler == "auto" else sampler)


def _warm(
    storage: Storage, spec: StudySpec, earlier: Sequence[str | Study]
) -> tuple[StudyRecord, Sampler]:
    """Return the study that has taken over earlier ones, and its sampler."""
    found = _found(storage, spec.name)
    past = _copied(storage, earlier, spec) if found is None else kept_past(found, _names(earlier))
    options = {**spec.sampler_options, "past": past}
    decider = _sampler(spec.sampler, options)
    rule_options = spec.stopper_options if found else _with_curves(storage, earlier, spec)
    new = replace(spec, sampler_options=options, stopper_options=rule_options)
    record = found or _created(storage, new)
    stored = kept_past(record, _names(earlier))
    if stored != past:  # another process was quicker, with another copy
        decider = _sampler(spec.sampler, {**options, "past": stored})
    return record, decider


def _copied(
    storage: Storage, earlier: Sequence[str | Study], spec: StudySpec
) -> list[dict[str, Any]]:
    from tunekit.studies.warm_start import snapshot  # needs scipy, which other studies do not load

    places = _places(storage, earlier)
    return [snapshot(where, name, spec.objectives).to_dict() for where, name in places]


def _with_curves(
    storage: Storage, earlier: Sequence[str | Study], spec: StudySpec
) -> Mapping[str, Any]:
    """Return the options of the stopper, with the curves of earlier studies if it can use them."""
    from tunekit.studies.warm_start import reported_curves

    if spec.stopper != "curve" or "past" in spec.stopper_options:
        return spec.stopper_options
    found = reported_curves(_places(storage, earlier), spec.objectives)
    return {**spec.stopper_options, "past": found}


def _names(earlier: Sequence[str | Study]) -> list[str]:
    return [s if isinstance(s, str) else s.name for s in earlier]


def _places(storage: Storage, earlier: Sequence[str | Study]) -> list[tuple[Storage, str]]:
    return [(storage, s) if isinstance(s, str) else (s.storage, s.name) for s in earlier]


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
    """Return where checkpoints go; a place that cannot be opened is refused here."""
    if given is None:
        return None
    found = given if isinstance(given, Checkpoints) else Checkpoints(given)
    open_place(str(found.root))
    return found
