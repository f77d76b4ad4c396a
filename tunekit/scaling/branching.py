"""Decays that branch from a stable run: several training lengths for the price of one.

With a schedule of warm-up, stable phase and decay, the learning rate is constant until the last
tenth of the tokens. So one long stable run with checkpoints, and a short decay from each of them,
give the loss at every one of these lengths.

Reference: Hu et al., 2024, "MiniCPM", section 4 (the WSD scheduler).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tunekit.checks import check_number, check_whole, is_whole, several, shown
from tunekit.errors import InvalidArgument, UnknownTrial
from tunekit.records import Branch, TrialRecord, TrialState
from tunekit.spaces import Params, Scalar
from tunekit.studies.study import Study

ATTR = "wsd"
"""Attribute of the trials of a stable run and its decays."""

SHARE = 0.1
"""Usual share of all steps that the decay takes."""


ENDED_WITHOUT = (TrialState.CANCELLED, TrialState.LOST, TrialState.FAILED)
"""States after which a run is enqueued again."""


@dataclass(frozen=True, slots=True)
class DecayPoint:
    """The end of one decay.

    Attributes:
        number: its trial.
        parent: trial of the stable run.
        step: step of the checkpoint that it branched from.
        total: steps in all, with those of the decay.
        loss: the objective's value.
    """

    number: int
    parent: int
    step: int
    total: int
    loss: float


def schedule_of(user_attrs: Mapping[str, Any]) -> tuple[Literal["stable", "decay"], int, int]:
    """Return the phase of a trial, with its first and its last step.

    An objective calls it with `trial.user_attrs`. A stable run goes from step 1 to the last one
    and saves a checkpoint at each step of `user_attrs["wsd"]["steps"]`; a decay starts from its
    `trial.checkpoint_dir` at the given step, and lets the learning rate fall until the last one.

    Raises:
        InvalidArgument: the trial is neither a stable run nor a decay.
    """
    found = user_attrs.get(ATTR)
    if not isinstance(found, Mapping):
        raise InvalidArgument(
            "schedule_of: the trial is neither a stable run nor a decay; make them with "
            "tunekit.scaling.stable_run and decay_branches."
        )
    if found["phase"] == "stable":
        return "stable", 1, max(found["steps"])
    return "decay", found["step"] + 1, found["step"] + found["decay_steps"]


def stable_run(study: Study, params: Mapping[str, object], *, steps: Sequence[int]) -> int:
    """Enqueue the stable run of a point, once; return its trial number.

    Args:
        study: opened with checkpoints, of which `keep_every` keeps these steps.
        params: the point.
        steps: where the run saves a checkpoint; the last one is its end.

    Raises:
        InvalidArgument: the steps are no whole numbers of 1 or more, or the study keeps no
            checkpoints of them.
        UnknownParameter, InvalidParams: it is not a point of the space.
    """
    wanted = _steps(steps)
    _check_kept(study, wanted)
    point = study.space.complete(params)
    for trial in study.refresh():
        own = _own(trial)
        if own.get("phase") == "stable" and own["steps"] == wanted and _is_at(trial, point):
            if trial.state not in ENDED_WITHOUT:
                return trial.number
    return study.enqueue_trial(point, user_attrs={ATTR: {"phase": "stable", "steps": wanted}})


def decay_branches(
    study: Study,
    parent: int,
    *,
    steps: Sequence[int] | None = None,
    share: float = SHARE,
    params: Mapping[str, object] | None = None,
) -> list[int]:
    """Enqueue a decay from each checkpoint of a run, once; return their trial numbers.

    A further call enqueues only what is missing, so that a killed program may be run again.

    Args:
        study: opened with checkpoints.
        parent: trial of the stable run.
        steps: steps of its checkpoints; by default all that it still has.
        share: of all steps that the decay takes, above 0 and below 1: after 900 steps, 0.1 gives
            a decay of 100.
        params: values that differ from the stable run's.

    Raises:
        UnknownTrial: no such trial.
        UnknownCheckpoint: it has no checkpoint of a step.
        InvalidArgument: a step or the share is outside its range, or the run has no checkpoint.
    """
    check_whole(parent, "parent", low=0)
    check_number(share, "share", low=0.0, high=1.0, is_open=True)
    if share == 1.0:
        raise InvalidArgument("share=1.0, expected a number below 1: the stable run comes first.")
    run = study.refresh().get(parent)
    if run is None:
        raise UnknownTrial(f"parent={parent}: study {study.name!r} has no such trial.")
    wanted = [c.step for c in run.checkpoints] if steps is None else _steps(steps)
    if not wanted:
        raise InvalidArgument(
            f"decay_branches: trial {parent} has no checkpoints to branch from; save them with "
            "trial.save_checkpoint and keep them with tk.Checkpoints(root, keep_every=...)."
        )
    known = {t.branch: t for t in study.history if _is_decay(t, share, params)}
    numbers = []
    for step in wanted:
        there = known.get(Branch(parent, step))
        if there is not None and there.state not in ENDED_WITHOUT:
            numbers.append(there.number)
            continue
        attrs = {
            "phase": "decay",
            "parent": parent,
            "step": step,
            "decay_steps": max(1, math.ceil(step * share / (1.0 - share) - 1e-9)),
            "share": share,
            "params": dict(params or {}),
        }
        numbers.append(
            study.enqueue_trial(params or {}, user_attrs={ATTR: attrs}, branch_from=(parent, step))
        )
    return numbers


def decay_points(study: Study, parent: int | None = None) -> list[DecayPoint]:
    """Return the complete decays of a study, or of one stable run, by their length.

    With the tokens of a step they are the points of a loss law over D.
    """
    check_whole(parent, "parent", low=0, optional=True)
    metric = study.objectives[0].metric
    found = [
        DecayPoint(
            t.number,
            own["parent"],
            own["step"],
            own["step"] + own["decay_steps"],
            t.metrics[metric],
        )
        for t in study.refresh()
        if t.state is TrialState.COMPLETE
        and (own := _own(t)).get("phase") == "decay"
        and parent in (None, own["parent"])
    ]
    return sorted(found, key=lambda p: (p.parent, p.total, p.number))


def _own(trial: TrialRecord) -> Mapping[str, Any]:
    found = trial.user_attrs.get(ATTR)
    return found if isinstance(found, Mapping) else {}


def _is_decay(trial: TrialRecord, share: float, params: Mapping[str, object] | None) -> bool:
    own = _own(trial)
    return (
        own.get("phase") == "decay"
        and own["share"] == share
        and own["params"] == dict(params or {})
    )


def _is_at(trial: TrialRecord, point: Params) -> bool:
    theirs: Mapping[str, Scalar] = dict(trial.params or {})
    return all(theirs.get(path) == value for path, value in dict(point).items())


def _steps(given: object) -> list[int]:
    steps = list(several(given, is_one=isinstance(given, str | int)))
    if not steps or not all(is_whole(s) and s >= 1 for s in steps):
        raise InvalidArgument(
            f"steps={shown(given)}, expected whole numbers of 1 or more, such as [1000, 2000]."
        )
    return sorted(set(steps))


def _check_kept(study: Study, steps: Sequence[int]) -> None:
    place = study.checkpoints
    every = None if place is None else place.keep_every
    if every is None or any(step % every for step in steps[:-1]):
        example = math.gcd(*steps)
        raise InvalidArgument(
            f"stable_run: study {study.name!r} does not keep the checkpoints of the steps "
            f"{list(steps)}; open it with checkpoints=tk.Checkpoints(root, keep_every={example})."
        )
