"""The study, tunekit's central object."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from tunekit.checkpoints.base import Checkpoints
from tunekit.checks import check_flag, shown
from tunekit.driver.orchestrator import Orchestrator
from tunekit.driver.progress import choose_progress, hint_at_storage
from tunekit.driver.run_settings import Ending, Goal, Progress, Settings
from tunekit.driver.study_reader import StudyReader
from tunekit.driver.worker import Worker
from tunekit.errors import InvalidArgument
from tunekit.executors.base import Executor
from tunekit.executors.choose import make_executor
from tunekit.executors.trial import Trial
from tunekit.records import StudyRecord, StudyState, TrialRecord
from tunekit.samplers.base import Sampler
from tunekit.spaces import Space
from tunekit.spaces.versions import SpaceEdit
from tunekit.stoppers.audited import audited
from tunekit.stoppers.base import Stopper
from tunekit.storages.base import Storage
from tunekit.storages.checks import unknown_trial
from tunekit.studies import add_trials, arguments, enqueue, space_edits
from tunekit.studies.ask_tell import AskedTrials
from tunekit.studies.by_hand import TrialsByHand
from tunekit.studies.checkpoint_paths import CheckpointPaths
from tunekit.studies.labels import check_runs
from tunekit.studies.objectives_run import surrounded
from tunekit.studies.reopen import renamed
from tunekit.studies.retry import retry_of
from tunekit.studies.study_labels import StudyLabels
from tunekit.studies.study_reads import StudyReads
from tunekit.studies.trial_numbers import trial_number

Callback: TypeAlias = "Callable[[Study, TrialRecord], None]"


class Study(StudyReads, TrialsByHand, StudyLabels, CheckpointPaths):
    """A stored set of trials over one space; made by `tunekit.study` or `tunekit.load_study`.

    Attributes:
        name: name in the storage.
        storage: storage that holds the study.
        sampler: proposes the params of new trials.
        stopper: ends hopeless trials early; `None` for no stopper.
        checkpoints: place of the trials' checkpoints, if there is one.
        audit: share of the condemned trials that run on; see `stop_audit`.
    """

    def __init__(
        self,
        storage: Storage,
        record: StudyRecord,
        sampler: Sampler,
        stopper: Stopper | None,
        checkpoints: Checkpoints | None = None,
        *,
        audit: float | None = None,
    ) -> None:
        self.name = record.spec.name
        self.storage = storage
        self.sampler = sampler
        self.stopper = stopper
        self.checkpoints = checkpoints
        self.audit = record.spec.audit if audit is None else audit
        self._follow(record)

    def _follow(self, record: StudyRecord) -> None:
        """Read and run the study as it is stored from now on."""
        self._reader = StudyReader(self.storage, record)
        self._worker = Worker(self._reader, self.sampler, self.checkpoints)
        self._asked = AskedTrials(self._worker)
        self._tell_records()

    def __repr__(self) -> str:
        return f"Study({self.name!r}, storage={self.storage.url!r})"

    # Running it

    def optimize(
        self,
        objective: Callable[[Trial], Any],
        n_trials: int | None = None,
        timeout: float | str | None = None,
        workers: int | None = None,
        *,
        resources: Mapping[str, float] | None = None,
        callbacks: Callback | Sequence[Callback] | None = (),
        catch: Sequence[type[BaseException]] | type[BaseException] = (Exception,),
        executor: str | Executor | None = None,
        total_trials: int | None = None,
        trial_timeout_s: float | None = None,
        memory_mib: float | None = None,
        devices: Sequence[str | int] | None = None,
        progress: Progress | bool | None = None,
        show_progress_bar: bool | None = None,
        lease_s: float = 60.0,
        max_failed_trials: int | None = None,
        n_jobs: int | None = None,
        gc_after_trial: bool = False,
    ) -> Ending:
        """Run trials until a goal is reached; results are kept however the run ends.

        The first Ctrl-C finishes the running trials, the second stops them (they run again on
        resume), the third exits; `KeyboardInterrupt` is raised when the state is saved.

        Args:
            objective: called with a `Trial`; returns a number, or a mapping of metrics.
            n_trials: number of further trials to start, not counting promoted ones.
            timeout: seconds after which no trial starts, or a text, e.g. "90s", "15m", "2h".
            workers: trials at once (1; on Ray all that fit); above 1 in their own processes.
            resources: what one trial holds, such as `{"gpu": 1}`; sets the visible devices.
            callbacks: one or several, called as `callback(study, trial)` after each trial told.
            catch: exceptions that make a FAILED trial; others end the run as ObjectiveFailed.
            executor: "inline", "process" (chosen from the rest), "ray", or an instance made so.
            total_trials: run until the study has this many, ended or paused, whoever runs them.
            trial_timeout_s: kill and fail a trial after this many seconds.
            memory_mib: kill and fail a trial whose resident memory grows beyond this.
            devices: the devices that "gpu" units stand for; see `ProcessExecutor`.
            progress: whether it is shown, or a display; `choose_progress` says the default.
            show_progress_bar: Optuna's word for `progress`.
            lease_s: how long a worker may be silent before its trial is given to another.
            max_failed_trials: end the run with an error once more of its trials have failed; if
                not given, once the first 5 have all failed in the same way and none is complete.
            n_jobs: Optuna's word for `workers`, which are processes here; -1 is one a processor.
            gc_after_trial: collect garbage after each trial, in the process that has run it.

        Returns:
            Why it ended: "done", "timeout", "stopped", "cancelled" or "exhausted".

        Raises:
            InvalidArgument: an argument that cannot be right.
            ObjectiveFailed: the objective raised what `catch` does not cover.
            TooManyFailures: more than `max_failed_trials` have failed, or all of the first.
            ExecutorFailed: no trial can run; the cluster is away or has no place for one.
            KeyboardInterrupt: it was interrupted; the state is saved.
        """
        arguments.function(objective)
        check_flag(gc_after_trial, "gc_after_trial")
        goal = arguments.goal(n_trials, total_trials, timeout)
        settings = arguments.settings(catch, lease_s, max_failed_trials)
        workers = arguments.one_of(workers, arguments.jobs(n_jobs), ("workers", "n_jobs"))
        limits = arguments.trial_limits(resources, trial_timeout_s, memory_mib)
        on = make_executor(executor, workers, limits, devices)
        shown = choose_progress(progress, show_progress_bar)
        runner = self.orchestrator(on, goal, settings, callbacks, progress=shown)
        whole = surrounded(objective, self, on, gc_after_trial=gc_after_trial)
        if (ending := runner.run(whole)) == "interrupted":
            raise KeyboardInterrupt(f"study {self.name!r} was interrupted; its state is saved")
        hint_at_storage(self.storage.url, shown)
        return ending

    def orchestrator(
        self,
        executor: Executor,
        goal: Goal,
        settings: Settings,
        callbacks: Callback | Sequence[Callback] | None = (),
        **watched: Any,
    ) -> Orchestrator:
        """Resume the study if it has ended; return the object that runs it, as in `optimize`."""
        watched |= {"callbacks": [partial(c, self) for c in arguments.functions(callbacks)]}
        watched |= {"goal": goal, "settings": settings, "stopper": self._audited_stopper()}
        if self.record().state in (StudyState.STOPPED, StudyState.CANCELLED):
            self.resume()
        return Orchestrator(self._worker, executor, **watched)

    # Changing it

    def enqueue_trial(
        self,
        params: Mapping[str, object],
        *,
        user_attrs: Mapping[str, Any] | None = None,
        branch_from: tuple[int, int] | None = None,
        skip_if_exists: bool = False,
    ) -> int:
        """Enqueue a point before new proposals; return its trial number.

        Args:
            params: the point, or a part of it; the sampler proposes the rest.
            user_attrs: plain JSON stored with the trial.
            branch_from: another trial's number and the step of one of its checkpoints. The new
                trial starts from a copy of it, and takes values missing in `params` from that
                trial.
            skip_if_exists: if a trial in any state has all these values, enqueue nothing and
                return its number.

        Raises:
            UnknownParameter: the space has no parameter of this name.
            InvalidParams: a value outside its domain, or points that cannot be completed.
            UnknownTrial, UnknownCheckpoint: there is nothing to branch from.
        """
        attrs = arguments.json_mapping(user_attrs, "user_attrs")
        return enqueue.enqueue(
            self._worker, params, branch_from, user_attrs=attrs, skip_if_exists=skip_if_exists
        )

    def add_trial(self, trial: TrialRecord | Any) -> int:
        """Add a trial that was run elsewhere, as it is; return its number here.

        Args:
            trial: a record of another study, or a trial of Optuna's, such as what
                `optuna.trial.create_trial(params=..., distributions=..., value=...)` gives.

        Raises:
            InvalidArgument: it is neither, runs now, or misses an objective.
            UnknownParameter, InvalidParams: its params are no point of the declared space.
        """
        return self.add_trials([trial])[0]

    def add_trials(self, trials: Iterable[TrialRecord | Any]) -> list[int]:
        """Add several trials, all or none; see `add_trial`."""
        return add_trials.add(self._reader, list(trials))

    def retry_trial(self, number: int, *, from_checkpoint: bool = False) -> int:
        """Run the point of an ended trial again, before new proposals; return the new number.

        The new trial has the user attributes of the old one, and its number as `retry_of`.

        Args:
            number: of the old trial.
            from_checkpoint: go on from its last checkpoint, if it has one.

        Raises:
            UnknownTrial: no such number.
            InvalidArgument: the trial has not ended, or never had params.
            InvalidParams, UnknownParameter: the point lies outside the current space.
        """
        check_flag(from_checkpoint, "from_checkpoint")
        trial = self.refresh().get(trial_number(number))
        if trial is None:
            raise unknown_trial(number, len(self.history))
        wanted = retry_of(trial, from_checkpoint=from_checkpoint)
        at = wanted.branch
        return enqueue.enqueue(
            self._worker,
            wanted.params,
            None if at is None else (at.number, at.step),
            user_attrs=wanted.user_attrs,
        )

    def resume_trial(self, number: int, reason: str = "resumed by the user") -> bool:
        """Resume a paused trial, before new ones; return whether it was paused.

        It runs with the next `optimize` (also with `n_trials=0`) from its last checkpoint.

        Raises:
            UnknownTrial: no such number.
        """
        reasons = {trial_number(number): arguments.reason_text(reason)}
        return bool(self.storage.promote(self.id, reasons))

    def edit_space(
        self, space: Space | Mapping[str, object], *, dry_run: bool = False
    ) -> SpaceEdit:
        """Give the study a new version of its space; old trials that fit stay valid.

        Args:
            space: the new space as a whole; `tunekit.spaces.versions` has `widen` and `narrow`.
            dry_run: report the changes without making them.

        Returns:
            The changes, and the number of trials that are points of the new space.

        Raises:
            InvalidArgument: the study's space is discovered by a program, which declares it.
            TrialConflict: another process edited the space meanwhile.
        """
        return space_edits.edit_space(self._reader, space, dry_run=dry_run)

    def set_user_attr(self, key: str, value: Any) -> None:
        """Keep plain JSON with the study.

        Raises:
            InvalidArgument: the value is not plain JSON.
        """
        try:
            json.dumps({key: value}, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"attribute {shown(key)}: {error}; give plain JSON.") from None
        self.storage.set_attrs(self.id, {key: value})

    def set_metric_names(self, metric_names: Sequence[str]) -> None:
        """Name the objectives, as `tk.study(objectives=...)` does when a study is made.

        Args:
            metric_names: one for each objective, in their order.

        Raises:
            InvalidArgument: another number of names, a name twice, or a trial is complete.
        """
        self._follow(renamed(self.storage, self.record(), metric_names))

    def pause(self) -> None:
        """Start no new trials, in any process, until `resume`; running ones continue."""
        self.storage.set_state(self.id, StudyState.PAUSED)

    def resume(self) -> None:
        """Allow workers to start trials again.

        Raises:
            InvalidArgument: the study is archived; `restore` it first.
        """
        check_runs(self.record().spec)
        self.storage.set_state(self.id, StudyState.ACTIVE)

    def stop(self) -> None:
        """Finish the running trials, in all processes, and end their `optimize`."""
        self.storage.set_state(self.id, StudyState.STOPPED)

    def cancel(self) -> None:
        """End the running trials now, as CANCELLED, in all processes, and their `optimize`."""
        self.storage.set_state(self.id, StudyState.CANCELLED)

    def cancel_trial(self, number: int, reason: str = "cancelled by the user") -> bool:
        """End one unfinished trial as CANCELLED; return whether it was unfinished."""
        why = arguments.reason_text(reason)
        return self.storage.cancel_trial(self.id, trial_number(number), why)

    def _audited_stopper(self) -> Stopper | None:
        seed = self._reader.record.spec.seed
        return self.stopper and audited(self.stopper, seed=seed, share=self.audit)
