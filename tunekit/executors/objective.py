"""Runs an objective and converts any result or error to an `Outcome`."""

from __future__ import annotations

import math
import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from tunekit.errors import InvalidParams, InvalidResult
from tunekit.executors.base import Task
from tunekit.executors.results import checked_metrics
from tunekit.executors.trial import Trial
from tunekit.optuna_names.words import advice
from tunekit.records import Outcome, TrialState

MAX_REASON = 300
MAX_ERROR = 32 * 1024
_OWN_FRAMES = str(Path(__file__).parent)


def run_objective(
    objective: Callable[..., Any], trial: Trial, *, closes: bool = True
) -> tuple[Outcome, BaseException | None]:
    """Return how the trial ended, and what a FAILED objective raised.

    Only `KeyboardInterrupt` is let through. Where the trial `closes` with this call, its working
    folder is deleted.

    - A finite result is COMPLETE; NaN or infinite in an objective's metric is DIVERGED.
    - `TrialStopped` (or Optuna's `TrialPruned`), and a value returned right after the decision
      to stop, is STOPPED, with the metrics of the last report as its result; PAUSED, where the
      decision is to pause.
    - Running out of memory, any other exception, `sys.exit` and a result that is not a metric are
      FAILED, with one sentence as the reason and the traceback as the error.
    """
    try:
        result = objective(trial)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if _is_called(error, "TrialStopped", "TrialPruned"):
            is_pause = _is_called(error, "TrialPaused")
            return _stopped(trial, str(error), is_pause=is_pause), None
        return failure(trial, error), error
    finally:
        if trial.is_fork:
            os._exit(0)  # the objective forked and came back twice: the trial is the parent's
        if closes:
            trial.close()
    try:
        metrics = checked_metrics(result, trial.objectives)
    except InvalidResult as error:
        reason = f"the result of the objective is refused: {error.message}"
        return _outcome(trial, TrialState.FAILED, reason=reason[:MAX_REASON]), error
    except Exception as error:  # a class of the result's that fails wherever it is touched
        reason = f"the objective returned a {type(result).__name__} that cannot be read"
        return _outcome(trial, TrialState.FAILED, reason=reason), error
    if trial.should_prune():
        return _stopped(trial, "", metrics), None
    if trial.unasked:
        refused = InvalidParams(trial.unasked)
        return _outcome(trial, TrialState.FAILED, reason=refused.message), refused
    return _judged(trial, TrialState.COMPLETE, metrics), None


def objective_of(task: Task, opened: Callable[..., Any]) -> Callable[..., Any]:
    """Return the objective of a task: its own if it is a guest, else the executor's.

    A pickled objective is loaded once per process. Call this inside the trial, so that an error
    fails the trial.
    """
    if task.guest is None:
        return opened
    objective = task.guest.objective
    return _loaded(objective) if isinstance(objective, bytes) else objective


@lru_cache(maxsize=32)
def _loaded(objective: bytes) -> Callable[..., Any]:
    import pickle

    loaded: Callable[..., Any] = pickle.loads(objective)  # noqa: S301 - from our own driver
    return loaded


def failure(trial: Trial, error: BaseException) -> Outcome:
    """Return the FAILED outcome of an objective that raised."""
    summary = traceback.TracebackException.from_exception(error)
    _drop_own_frames(summary, set())
    text = "".join(summary.format())
    if len(text) > MAX_ERROR:
        text = f"{text[: MAX_ERROR // 2]}\n...\n{text[-MAX_ERROR // 2 :]}"
    return _outcome(trial, TrialState.FAILED, reason=_one_line(error, summary), error=text)


def _is_called(error: BaseException, *names: str) -> bool:
    # By name: neither optuna nor torch is imported to recognise their exceptions.
    return any(c.__name__ in names for c in type(error).__mro__)


def _one_line(error: BaseException, summary: traceback.TracebackException) -> str:
    if isinstance(error, SystemExit):
        return f"the objective called sys.exit({error.code!r})"[:MAX_REASON]
    last = "".join(list(summary.format_exception_only())[-1:]).strip()
    line = (last.splitlines() or [type(error).__name__])[0]
    # XLA and older PyTorch say it only in the text of a RuntimeError.
    said = isinstance(error, RuntimeError) and "out of memory" in line.lower()
    if said or _is_called(error, "MemoryError", "OutOfMemoryError", "ResourceExhaustedError"):
        return "out of memory"
    instead = advice(summary.stack[-1].filename) if summary.stack else ""
    return f"{line.rstrip('.')}; {instead}"[:MAX_REASON] if instead else line[:MAX_REASON]


def _drop_own_frames(summary: traceback.TracebackException, seen: set[int]) -> None:
    if id(summary) in seen:
        return
    seen.add(id(summary))
    summary.stack = traceback.StackSummary.from_list(
        [f for f in summary.stack if not f.filename.startswith(_OWN_FRAMES)]
    )
    for linked in (summary.__cause__, summary.__context__, *(summary.exceptions or ())):
        if linked is not None:
            _drop_own_frames(linked, seen)


def _stopped(
    trial: Trial,
    said: str,
    result: Mapping[str, float] | None = None,
    *,
    is_pause: bool = False,
) -> Outcome:
    decision = trial.last_decision if trial.should_prune() else None
    if decision is not None:
        is_pause = decision.action == "pause"
    itself = "the objective paused itself" if is_pause else "the objective stopped itself"
    reason = decision.reason if decision else said or itself
    reported = trial.last_report.metrics if trial.last_report else {}
    metrics = reported if result is None else result
    evidence = decision.evidence if decision else {}
    state = TrialState.PAUSED if is_pause else TrialState.STOPPED
    return _judged(trial, state, metrics, reason=reason, evidence=evidence)


def _judged(
    trial: Trial, state: TrialState, metrics: Mapping[str, float], **fields: Any
) -> Outcome:
    """Return the outcome with these metrics, DIVERGED if an objective is not finite."""
    for objective in trial.objectives:
        value = metrics.get(objective.metric, 0.0)
        if not math.isfinite(value):
            step = trial.diverged_at.get(objective.metric)
            since = "" if step is None else f" since step {step}"
            fields["reason"] = f'the metric "{objective.metric}" is {value}{since}'
            return _outcome(trial, TrialState.DIVERGED, metrics=metrics, **fields)
    return _outcome(trial, state, metrics=metrics, **fields)


def _outcome(
    trial: Trial, state: TrialState, *, evidence: Mapping[str, Any] | None = None, **fields: Any
) -> Outcome:
    return noted(trial, Outcome(state, evidence=evidence or {}, **fields))


def noted(trial: Trial, outcome: Outcome) -> Outcome:
    """Return the outcome, completed by data recorded while the trial ran.

    These are its attributes, a program's parameters, and the stopper's verdict under audit.
    """
    return replace(
        outcome,
        evidence={**outcome.evidence, **({"audit": trial.verdict} if trial.verdict else {})},
        params=dict(trial.params) if trial.is_open else None,
        domains=trial.domains,
        user_attrs=trial.user_attrs,
    )
