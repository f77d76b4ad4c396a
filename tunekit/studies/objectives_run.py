"""Wraps objectives that a study runs in this process."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from tunekit.executors.base import Executor
from tunekit.executors.trial import Trial

if TYPE_CHECKING:
    from tunekit.studies.study import Study


def surrounded(
    objective: Callable[[Trial], Any], study: Study, on: Executor, *, gc_after_trial: bool
) -> Callable[[Trial], Any]:
    """Return the objective with `trial.study` set if trials run in this process.

    Args:
        objective: the user's objective.
        study: study of the trials.
        on: executor; only one that runs trials in this process can give them the study.
        gc_after_trial: collect garbage after each trial, in the process that ran it.
    """
    around: Callable[[Trial], Any] = objective
    if gc_after_trial:
        around = partial(_collected, around)
    if on.runs_in_caller:
        around = partial(_at_study, around, study)
    if around is not objective:  # an executor may ask whether the user's is a generator function
        setattr(around, "__wrapped__", objective)  # noqa: B010 - as functools.wraps does
    return around


def _at_study(objective: Callable[[Trial], Any], study: Study, trial: Trial) -> Any:
    trial.study = study
    return objective(trial)


def _collected(objective: Callable[[Trial], Any], trial: Trial) -> Any:
    try:
        return objective(trial)
    finally:
        gc.collect()
