"""The objective's view of a trial: its params, reports and attributes."""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, cast

from tunekit.checkpoints.workspace import Workspace
from tunekit.checks import shown
from tunekit.errors import InvalidArgument, InvalidParams, TrialPaused, TrialStopped, did_you_mean
from tunekit.executors.base import Ranks, Task
from tunekit.executors.results import checked_metrics
from tunekit.identifiers import digest
from tunekit.optuna_names.words import SYSTEM, OptunaNotes, system_attrs, unknown_name
from tunekit.records import CONTINUE, Decision, Report
from tunekit.samplers.philox import Philox
from tunekit.samplers.random_streams import light_stream
from tunekit.spaces import Parameter, Params, Scalar
from tunekit.spaces.domains import plain
from tunekit.spaces.program import Chooser
from tunekit.storages.checks import STEPS

Sender: TypeAlias = Callable[[Report], Decision]
"""Sends a report and returns the decision whether the trial continues."""


class Trial:
    """One trial, passed to its objective.

    An objective reads `params` (or asks with `suggest_*` where no space is declared), may
    `report` on the way, and returns a number or named metrics.

    Attributes:
        number: counts from 0 within the study.
        epoch: how often a worker has taken it; part of its lease.
        study_name: the study it belongs to.
        params: path -> value; a unique short name works as well. Where the program discovers
            its space, it grows with each `suggest_*`.
        block: the fold, seed or instance to measure on, from 0. A sampler that races sends the
            same params to several blocks and compares within them; without one it is 0.
        devices: the accelerators it holds, as the driver names them; empty where it asked none.
        objectives: the metrics to return, with their directions.
        last_report: the metrics of the last step, with which a stopped trial ends.
        last_decision: what the stopper said last.
        diverged_at: metric -> the first of the steps since when it was NaN or infinite.
        verdict: what the stopper first said of a trial that runs on for the audit; stored when
            it ends.
    """

    def __init__(self, task: Task, send: Sender, *, devices: Sequence[str] = ()) -> None:
        self.number = task.trial_number
        self.epoch = task.epoch
        self.study_name = task.study
        self.block = task.block
        self.devices = tuple(devices)
        self._task = task
        self._send = send
        self._pid = os.getpid()
        self._lock = threading.Lock()  # callbacks of a training library may report from threads
        self._attrs: dict[str, Any] = dict(task.user_attrs)
        self._chooser = Chooser(self._pick) if task.is_open else None
        self._params = Params(task.params)
        self.objectives = task.objectives
        self.last_report: Report | None = None
        self.last_decision: Decision = CONTINUE
        self.diverged_at: dict[str, int] = {}
        self._workspace: Workspace | None = None
        self.verdict: dict[str, Any] = {}
        self._study: Any = None
        self._trial_id = task.trial_number  # helpers of Optuna's hand it back with their notes

    def __getattr__(self, name: str) -> Any:
        raise unknown_name("Trial", name)

    def __repr__(self) -> str:
        return f"Trial({self.study_name!r}, number={self.number}, params={dict(self.params)})"

    @property
    def is_fork(self) -> bool:
        """Return whether this process is a fork of the one that called the objective."""
        return os.getpid() != self._pid

    @property
    def params(self) -> Params:
        """Return the proposed point, or the parameters asked for so far."""
        return self._params if self._chooser is None else self._chooser.params

    @property
    def study(self) -> Any:
        """Return its `Study`, if the trial runs in the process that holds the study.

        Raises:
            InvalidArgument: it runs in another process.
        """
        if self._study is None:
            raise InvalidArgument(
                f"trial {self.number} runs in a process of its own, which does not hold the "
                "study; run it with workers=1, or open the study there with "
                f"tk.load_study({self.study_name!r}, storage=...)."
            )
        return self._study

    @study.setter
    def study(self, study: Any) -> None:
        self._study = study

    @property
    def domains(self) -> Mapping[str, Any]:
        """Return the domains a define-by-run program has asked for: path -> domain."""
        return {} if self._chooser is None else self._chooser.domains

    @property
    def is_open(self) -> bool:
        """Return whether the program may ask for undeclared parameters."""
        return self._chooser is not None

    @property
    def user_attrs(self) -> dict[str, Any]:
        """Return a copy of the attributes set with `set_user_attr`."""
        return dict(self._attrs)

    @property
    def resumed_from(self) -> int | None:
        """Return the step of the checkpoint that it resumes from, `None` if there is none.

        That is its own last checkpoint after a pause or the death of its worker, or the one that
        it branches from. The next step is `resumed_from + 1`.
        """
        return None if self._task.origin is None else self._task.origin.step

    @property
    def checkpoint_dir(self) -> Path:
        """Return a local folder of this trial alone, to write its state to.

        It starts empty, or with the files of the checkpoint of step `resumed_from` in a resumed
        trial. `save_checkpoint` stores its content; the folder itself is deleted with the trial.

        Raises:
            InvalidArgument: the study was opened without a place of checkpoints.
            UnknownCheckpoint: the checkpoint to resume from no longer exists.
            CheckpointError: the file system refuses access.
        """
        return self._files().folder

    def save_checkpoint(self, step: int, path: str | Path | None = None) -> None:
        """Save `checkpoint_dir` (or another file or folder) as the state after a step.

        The checkpoint is complete or absent, whatever happens. The study keeps a trial's last
        checkpoint and the best ones by the first objective reported at their steps.

        Args:
            step: as in `report`.
            path: a file or a folder to keep in place of `checkpoint_dir`.

        Raises:
            InvalidArgument: a bad step, nothing to save, or no place of checkpoints.
            CheckpointError: the file system refuses, as when the disk is full; the checkpoints
                that there are stay.
            TrialStopped: the trial has been ended meanwhile.
        """
        number = _step(step)
        with self._lock:
            self._files().save(number, path)
            decision = self._send(Report(number, {}, checkpoint=True))
            if decision.action != "continue":
                self.last_decision = decision
        if decision.action != "continue":
            raise self._end()

    @property
    def has_checkpoints(self) -> bool:
        """Return whether the study stores checkpoints."""
        return bool(self._task.place)

    @property
    def ranks(self) -> Ranks | None:
        """Return the places of a distributed trial's processes; `None` on this machine."""
        return self._task.ranks

    def forward(self, report: Report) -> Decision:
        """Forward a report unchanged, for the process of a distributed trial.

        The receiver checks and saves it.
        """
        with self._lock:
            return self._send(report)

    def close(self) -> None:
        """Delete the working folder; called by the executor."""
        if self._workspace is not None:
            self._workspace.close()

    def _files(self) -> Workspace:
        task = self._task
        if not task.place:
            raise InvalidArgument(
                f"trial {self.number}: the study has no place for checkpoints; open it with "
                'tk.study(..., checkpoints="folder").'
            )
        if self._workspace is None:
            start = None if task.origin is None else task.origin.name
            self._workspace = Workspace(
                task.place, task.trial_number, task.epoch, start=start, kept=task.kept
            )
        return self._workspace

    @property
    def seed(self) -> int:
        """Return a seed in `[0, 2**32)` for your own random generators.

        The same trial of the same study gets the same one in every run and process.
        """
        return _keyed(self._task, "trial.seed").integers(2**32)

    def set_user_attr(self, key: str, value: Any) -> None:
        """Set an attribute of the trial, stored with the result.

        Args:
            key: any text.
            value: plain JSON (NumPy scalars are taken too); NaN and infinities are not JSON.

        Raises:
            InvalidArgument: the key is not a text, or the value is not JSON.
        """
        if not isinstance(key, str) or not key:
            raise InvalidArgument(f"user attribute key {shown(key)}: expected a non-empty text.")
        try:
            self._attrs[key] = json.loads(json.dumps(value, default=plain, allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidArgument(
                f'user attribute "{key}": {error}; expected plain JSON. '
                "Store text or numbers, and the path of anything larger."
            ) from None

    def set_system_attr(self, key: str, value: Any) -> None:
        """Set an attribute for one of Optuna's helpers; see `set_user_attr`."""
        self.set_user_attr(SYSTEM + key, value)

    @property
    def system_attrs(self) -> dict[str, Any]:
        """Return a copy of the attributes set with `set_system_attr`."""
        return system_attrs(self._attrs)

    @property
    def storage(self) -> OptunaNotes:
        """Return what Optuna's `report_cross_validation_scores` writes to: this trial."""
        return OptunaNotes(self)

    def report(
        self,
        metrics: object,
        step: int,
        *,
        checkpoint: bool | str | Path = False,
        raise_on_stop: bool = True,
    ) -> Decision:
        """Report metrics at a step and return whether the trial continues.

        Args:
            metrics: a number (the first objective) or a mapping of metric to number, which
                need not hold every objective.
            step: 0 or more; epochs, batches or seconds, the same unit in all trials. The same
                step again replaces what was reported there.
            checkpoint: `True` keeps `checkpoint_dir` as the state after this step before it is
                reported, a path that file or folder; see `save_checkpoint`.
            raise_on_stop: with `False` the decision is only returned (and `should_prune()` is
                true): clean up, then return or raise `TrialStopped`.

        Returns:
            The decision, with its reason.

        Raises:
            TrialStopped: the stopper ends the trial.
            TrialPaused: the stopper lets it stand until it is promoted; a `TrialStopped` too.
            CheckpointError: the checkpoint cannot be written.
            InvalidArgument: the step is not a whole number of 0 or more.
            InvalidResult: the metrics are not numbers.
        """
        if self.is_fork:
            raise InvalidArgument(
                f"trial.report in process {os.getpid()}, a fork of the trial's process "
                f"{self._pid}: report from the process that the objective was called in."
            )
        report = Report(_step(step), checked_metrics(metrics, self.objectives, is_partial=True))
        with self._lock:
            if checkpoint is not False:
                self._files().save(report.step, None if checkpoint is True else checkpoint)
                report = replace(report, checkpoint=True)
            before = self.last_report
            if report.metrics and (before is None or report.step >= before.step):
                self.last_report = report
            for name, value in report.metrics.items():
                if math.isfinite(value):
                    self.diverged_at.pop(name, None)
                else:
                    self.diverged_at.setdefault(name, report.step)
            self.last_decision = self._send(report)
            said = self.last_decision.evidence.get("audit")
            if said is not None and not self.verdict:
                self.verdict = {**said, "at": time.time()}
        if raise_on_stop and self.should_prune():
            raise self._end()
        return self.last_decision

    def _end(self) -> TrialStopped:
        is_pause = self.last_decision.action == "pause"
        return (TrialPaused if is_pause else TrialStopped)(self.last_decision.reason)

    def should_prune(self) -> bool:
        """Return whether the last decision was to stop or to pause (Optuna's word)."""
        return self.last_decision.action != "continue"

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return the value of a real parameter; see `suggest_categorical`."""
        if self._chooser is None:
            return cast(float, self._params[name])
        return self._chooser.suggest_float(name, low, high, step=step, log=log)

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return the value of an integer parameter; see `suggest_categorical`."""
        if self._chooser is None:
            return cast(int, self._params[name])
        return self._chooser.suggest_int(name, low, high, step=step, log=log)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return the value of a parameter that is one of several choices.

        In a study with a declared space, the declared parameter answers and the range that is
        given here does not matter. Without one, the program itself declares the parameter.

        Raises:
            UnknownParameter: the declared space has no such active parameter.
            InvalidSpace: the range contradicts itself, or the name was asked otherwise before.
        """
        if self._chooser is None:
            return self._params[name]
        return self._chooser.suggest_categorical(name, choices)

    @property
    def unasked(self) -> str:
        """Return why a program's result is not that of its enqueued point, empty if it is."""
        names = sorted(self._task.enqueued - self.params.keys())
        if not names:
            return ""
        hint = did_you_mean(names[0], list(self.params))
        return (
            f'the program never asked for "{names[0]}", which was enqueued{hint}; what it '
            "measured is another point. Enqueue only names that it asks for together."
        )

    def _pick(self, parameter: Parameter, chosen: Mapping[str, Scalar]) -> Scalar:
        """Return the proposed value if it is still valid, else draw one."""
        path = parameter.path
        if path in self._task.params:  # `in` first: a short name must not answer for a path
            try:
                return parameter.domain.validate(self._task.params[path], path)
            except InvalidParams as error:
                # The program asks for another range than the one that a guess was made from.
                if path in self._task.enqueued:
                    raise InvalidParams(
                        f"the enqueued value does not fit the domain the program asks for: "
                        f"{error.message} Enqueue a valid one."
                    ) from None
                if path in self._task.answers:
                    raise InvalidParams(
                        f"the sampler's value does not fit the domain the program asks for: "
                        f"{error.message} Give the sampler a valid one."
                    ) from None
        return parameter.domain.from_unit(_keyed(self._task, path).random())


def _keyed(task: Task, name: str) -> Philox:
    """Return a trial's generator for one name, independent of the order of asking."""
    key = int.from_bytes(digest(name.encode(), n_bytes=8), "big")
    return light_stream(task.seed ^ key, task.trial_number)


def _step(step: object) -> int:
    try:
        value = plain(step)
    except TypeError:
        value = None
    if type(value) is not int or not 0 <= value < STEPS.stop:
        raise InvalidArgument(
            f"report at step {shown(step)}: expected a whole number from 0 upwards, a 64-bit "
            "integer, as in trial.report(value, step)."
        )
    return value
