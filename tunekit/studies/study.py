"""The study: what a person or a program holds in the hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from tunekit.analysis import audit
from tunekit.checkpoints.base import Checkpoints
from tunekit.driver.orchestrator import Orchestrator
from tunekit.driver.run_settings import Ending, Goal, Progress, Settings
from tunekit.driver.session import Ledger
from tunekit.errors import InvalidArgument, NoCompleteTrial
from tunekit.executors.base import Executor
from tunekit.executors.trial import Trial
from tunekit.history import History, nothing_best
from tunekit.records import Objective, Report, StudyRecord, StudyState, TrialRecord, TrialState
from tunekit.samplers.base import Sampler
from tunekit.spaces import Params, Space
from tunekit.spaces.versions import SpaceEdit
from tunekit.stoppers.audited import audited
from tunekit.stoppers.base import Stopper
from tunekit.storages.base import Storage
from tunekit.studies import arguments, checkpoint_paths, enqueue, export, space_edits
from tunekit.studies.ask_tell import AskedTrials
from tunekit.studies.replay import Difference, replay

if TYPE_CHECKING:
    import pandas as pd

Callback: TypeAlias = "Callable[[Study, TrialRecord], None]"


class Study(checkpoint_paths.CheckpointPaths):
    """A stored set of trials over one space; made by `tunekit.study` or `tunekit.load_study`.

    Attributes:
        name: its name in the storage.
        storage: where it lives.
        sampler: what proposes the params of new trials.
        stopper: what ends hopeless trials early, if anything does.
        checkpoints: where the trials' checkpoints are kept, if anywhere.
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
        self._ledger = Ledger(storage, record, sampler, checkpoints)
        self._asked = AskedTrials(self._ledger)

    def __repr__(self) -> str:
        return f"Study({self.name!r}, storage={self.storage.url!r})"

    @property
    def id(self) -> int:
        """Return its key in the storage."""
        return self._ledger.record.id

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """Return the metrics that are optimised, with their directions."""
        return self._ledger.record.spec.objectives

    @property
    def space(self) -> Space:
        """Return the space as it is now; of a define-by-run study, as far as it is discovered."""
        self.refresh()
        self._ledger.refresh_space()
        return self._ledger.space

    @property
    def history(self) -> History:
        """Return all trials up to the last `refresh`, with columnar access."""
        return self._ledger.history

    def refresh(self) -> History:
        """Read what changed since, by this process or another, and return the history."""
        self._ledger.refresh()
        return self._ledger.history

    def record(self) -> StudyRecord:
        """Return the stored study as it stands now."""
        return self.storage.get_study(self.name)

    @property
    def trials(self) -> list[TrialRecord]:
        """Return all trials by number."""
        return list(self.refresh())

    def reports(self, numbers: Sequence[int] | None = None) -> dict[int, tuple[Report, ...]]:
        """Return the reports by trial number, in order of step; of all trials if none is named."""
        return self.storage.reports(self.id, numbers)

    @property
    def best_trial(self) -> TrialRecord:
        """Return the best complete, feasible trial at the target fidelity; of equals the oldest.

        Raises:
            NoCompleteTrial: there is none yet.
            InvalidArgument: the study has several objectives; `best_trials` is their front.
        """
        if len(self.objectives) > 1:
            raise InvalidArgument(
                f"study {self.name!r} has {len(self.objectives)} objectives and so no single "
                "best trial; use best_trials, the Pareto front."
            )
        best = self.refresh().best
        if best is None:
            raise NoCompleteTrial(nothing_best(self.name, self.history))
        return best

    @property
    def best_trials(self) -> list[TrialRecord]:
        """Return the Pareto front: feasible complete trials that no other one dominates."""
        return self.refresh().pareto()

    @property
    def best_params(self) -> Params:
        """Return the params of the best trial."""
        params = self.best_trial.params
        assert params is not None
        return params

    @property
    def best_value(self) -> float:
        """Return the objective of the best trial."""
        return self.best_trial.metrics[self.objectives[0].metric]

    def optimize(
        self,
        objective: Callable[[Trial], Any],
        n_trials: int | None = None,
        timeout: float | str | None = None,
        workers: int | None = None,
        *,
        resources: Mapping[str, float] | None = None,
        callbacks: Callback | Sequence[Callback] = (),
        catch: Sequence[type[BaseException]] | type[BaseException] = (Exception,),
        executor: str | Executor | None = None,
        total_trials: int | None = None,
        trial_timeout_s: float | None = None,
        memory_mib: float | None = None,
        devices: Sequence[str | int] | None = None,
        progress: Progress | None = None,
        lease_s: float = 60.0,
        max_failed_trials: int | None = None,
    ) -> Ending:
        """Run trials until a goal is reached; nothing is lost however it ends.

        The first Ctrl-C finishes the running trials, the second stops them (they run again on
        resume), the third exits; `KeyboardInterrupt` is raised when the state is saved.

        Args:
            objective: called with a `Trial`; returns a number, or a mapping of metrics.
            n_trials: start so many further trials; paused ones that are promoted do not count.
            timeout: start none after so many seconds, or a text such as "90s", "15m", "2h".
            workers: trials at once (1; on Ray all that fit); above 1 in their own processes.
            resources: what one trial holds, such as `{"gpu": 1}`; sets the visible devices.
            callbacks: one or several, called as `callback(study, trial)` after each trial told.
            catch: exceptions that make a FAILED trial; others end the run as ObjectiveFailed.
            executor: "inline", "process" (chosen from the rest) or "ray" (at RAY_ADDRESS, or
                started here); or an instance, made with its workers, limits and devices.
            total_trials: run until the study has so many and all have ended or stay paused,
                whoever runs them; a killed run that is started again just goes on.
            trial_timeout_s: kill and fail a trial after so many seconds.
            memory_mib: kill and fail a trial whose resident memory grows beyond this.
            devices: the devices that "gpu" units stand for; see `ProcessExecutor`.
            progress: shows how it goes.
            lease_s: how long a worker may be silent before its trial is given to another.
            max_failed_trials: end the run with an error once more of its trials have failed; if
                not given, once the first 5 have all failed in the same way and none is complete.

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
        goal = arguments.goal(n_trials, total_trials, timeout)
        settings = arguments.settings(catch, lease_s, max_failed_trials)
        limits = arguments.trial_limits(resources, trial_timeout_s, memory_mib)
        on = arguments.make_executor(executor, workers, limits, devices)
        runner = self.orchestrator(on, goal, settings, callbacks, progress=progress)
        if (ending := runner.run(objective)) == "interrupted":
            raise KeyboardInterrupt(f"study {self.name!r} was interrupted; its state is saved")
        return ending

    def orchestrator(
        self,
        executor: Executor,
        goal: Goal,
        settings: Settings,
        callbacks: Callback | Sequence[Callback] = (),
        **watched: Any,
    ) -> Orchestrator:
        """Resume the study where it has been ended; return what runs it, as `optimize` does."""
        watched |= {"callbacks": [partial(c, self) for c in arguments.functions(callbacks)]}
        watched |= {"goal": goal, "settings": settings, "stopper": self._judge()}
        if self.record().state in (StudyState.STOPPED, StudyState.CANCELLED):
            self.resume()
        return Orchestrator(self._ledger, executor, **watched)

    def ask(self) -> Trial:
        """Return a new trial to evaluate by hand; give its result to `tell`.

        Waiting trials (enqueued, or given back by a worker) come first.

        Raises:
            InvalidArgument: the study is paused, stopped or cancelled.
            SpaceExhausted: the sampler has no further point.
        """
        return self._asked.ask(self._judge())

    def tell(
        self,
        trial: Trial | int,
        result: object = None,
        *,
        state: TrialState | str | None = None,
        reason: str = "",
    ) -> TrialRecord:
        """End a trial that was asked for; telling the same again is harmless.

        Args:
            trial: what `ask` gave, or its number.
            result: a number, or a mapping of metrics; NaN or infinite makes it DIVERGED.
            state: another end than by the result, such as "failed"; then no result is needed.
            reason: one sentence kept with the trial.

        Returns:
            The trial as it is stored now.

        Raises:
            InvalidResult: the result is no metric, or misses an objective.
            TrialConflict: the trial was told another result before.
            LeaseLost: the trial was given to another worker, or cancelled.
            UnknownTrial: no trial of that number.
            InvalidArgument: the trial or the state is none.
        """
        return self._asked.tell(trial, result, state=state, reason=reason)

    # Changing it

    def enqueue_trial(
        self,
        params: Mapping[str, object],
        *,
        user_attrs: Mapping[str, Any] | None = None,
        branch_from: tuple[int, int] | None = None,
    ) -> int:
        """Put a point in front of the queue; what it leaves open is proposed. Return its number.

        Args:
            params: the point, or a part of it.
            user_attrs: plain JSON kept with the trial.
            branch_from: another trial's number and the step of one of its checkpoints, which
                this one begins from, with a copy of its own. What `params` leaves open is taken
                from that trial.

        Raises:
            UnknownParameter: a name that the space does not have (a typo).
            InvalidParams: a value outside its domain, or points that cannot be completed.
            UnknownTrial, UnknownCheckpoint: there is nothing to branch from.
        """
        attrs = dict(user_attrs or {})
        return enqueue.enqueue(self._ledger, params, branch_from, user_attrs=attrs)

    def resume_trial(self, number: int, reason: str = "resumed by the user") -> bool:
        """Let a paused trial go on, before new ones; return whether it was paused.

        It runs with the next `optimize` (also with `n_trials=0`) from its last checkpoint.

        Raises:
            UnknownTrial: no such number.
        """
        return bool(self.storage.promote(self.id, {number: reason}))

    def edit_space(
        self, space: Space | Mapping[str, object], *, dry_run: bool = False
    ) -> SpaceEdit:
        """Give the study the next version of its space; old trials stay valid where they fit.

        Args:
            space: the new space as a whole; `tunekit.spaces.versions` has `widen` and `narrow`.
            dry_run: change nothing, only say what would change.

        Returns:
            What changes, and how many trials are points of the new space.

        Raises:
            InvalidArgument: the study's space is discovered by a program, which declares it.
            TrialConflict: another process edited the space meanwhile.
        """
        return space_edits.edit_space(self._ledger, space, dry_run=dry_run)

    def set_user_attr(self, key: str, value: Any) -> None:
        """Keep plain JSON with the study.

        Raises:
            InvalidArgument: the value is no plain JSON.
        """
        try:
            json.dumps({key: value}, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"attribute {key!r}: {error}; give plain JSON.") from None
        self.storage.set_attrs(self.id, {key: value})

    @property
    def user_attrs(self) -> Mapping[str, Any]:
        """Return what was kept with the study."""
        return self.record().spec.attrs

    def pause(self) -> None:
        """Start no new trials, in any process, until `resume`; the running ones go on."""
        self.storage.set_state(self.id, StudyState.PAUSED)

    def resume(self) -> None:
        """Let workers start trials again."""
        self.storage.set_state(self.id, StudyState.ACTIVE)

    def stop(self) -> None:
        """Finish the running trials, in all processes, and end their `optimize`."""
        self.storage.set_state(self.id, StudyState.STOPPED)

    def cancel(self) -> None:
        """End the running trials now, as CANCELLED, in all processes, and their `optimize`."""
        self.storage.set_state(self.id, StudyState.CANCELLED)

    def cancel_trial(self, number: int, reason: str = "cancelled by the user") -> bool:
        """End one unfinished trial as CANCELLED; return whether it was unfinished."""
        return self.storage.cancel_trial(self.id, number, reason)

    def replay(self) -> list[Difference]:
        """Ask the sampler again for every proposal; return those that come out otherwise.

        Empty, however many processes ran the study and were killed, as long as the sampler is
        what its contract says: a pure function of the seed and of what it saw.
        """
        return replay(self.storage, self.record(), self.sampler)

    def stop_audit(self, *, tolerance: float = 0.0) -> audit.StopAudit:
        """Return how often the stopper was wrong, by the condemned trials that ran on.

        Args:
            tolerance: relative; an audited trial so much worse than the best is false as well.

        Raises:
            InvalidArgument: a tolerance below 0.
        """
        return audit.stop_audit(self.refresh(), self.reports(), tolerance=tolerance)

    def _judge(self) -> Stopper | None:
        seed = self._ledger.record.spec.seed
        return self.stopper and audited(self.stopper, seed=seed, share=self.audit)

    # Taking it elsewhere

    def trials_rows(self) -> list[dict[str, Any]]:
        """Return one flat mapping a trial: number, state, metrics, `params.*`, who and why."""
        return export.rows(self.trials)

    def trials_dataframe(self) -> pd.DataFrame:
        """Return the trials as a pandas DataFrame, one column for each key of `trials_rows`.

        Raises:
            MissingExtra: pandas is not installed.
        """
        return export.dataframe(self.trials)

    def export(self, path: str | Path) -> Path:
        """Write all trials to a file of the kind that its ending names: json, csv or parquet.

        Raises:
            InvalidArgument: another ending.
            MissingExtra: Parquet without pyarrow.
            StorageError: the file cannot be written.
        """
        return export.write(Path(path), self.record(), self.trials, self.reports())
