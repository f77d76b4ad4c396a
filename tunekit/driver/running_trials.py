"""Manages the trials running in this process, from their start to their stored end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace

from tunekit.driver.display import Display
from tunekit.driver.early_stopping import EarlyStopping
from tunekit.driver.interrupts import Interrupts
from tunekit.driver.report_buffer import ReportBuffer
from tunekit.driver.run_settings import Failures, failed, sentence_of
from tunekit.driver.trial_budget import TrialBudget
from tunekit.driver.worker import Worker
from tunekit.errors import ExecutorFailed, StorageUnreachable
from tunekit.executors.base import Ended, Executor, Task
from tunekit.identifiers import new_id
from tunekit.records import Decision, Outcome, Report, TrialState
from tunekit.storages.base import Operation, Pause, Release, Tell

POLL_S = 0.5
INTERRUPTED = Outcome(TrialState.WAITING, reason="interrupted; runs again on resume")
GIVEN_BACK = frozenset({TrialState.WAITING, TrialState.PREEMPTED})
NOTEWORTHY = frozenset(
    {TrialState.FAILED, TrialState.DIVERGED, TrialState.STOPPED, TrialState.PAUSED}
)


@dataclass(eq=False)
class RunningTrials:
    """Starts trials on an executor, decides on their reports and collects their ends.

    A fault around one trial (its checkpoints, its stopper, its questions) makes only that trial
    FAILED.

    Args:
        held: the running trials by number; only the loop's thread changes it.
        write: writes the outbox, when reports cannot wait for the next turn of the loop.

    Attributes:
        outbox: operations to write.
        broken: error that must end the run, found while a trial reported.
    """

    worker: Worker
    executor: Executor
    _: KW_ONLY
    held: dict[int, Task]
    stopping: EarlyStopping
    budget: TrialBudget
    failures: Failures
    display: Display
    write: Callable[[], None]

    def __post_init__(self) -> None:
        self.outbox: list[Operation] = []
        self.broken: Exception | None = None
        self._reports = ReportBuffer(self.worker.checkpoints)
        self._forced: dict[int, Outcome] = {}
        self._kills: dict[int, int] = {}

    def start(self, task: Task, interrupts: Interrupts) -> None:
        """Start a trial; an executor in this thread runs it to its end.

        Raises:
            ExecutorFailed: nothing is left to run trials on.
            StorageUnreachable: the storage did not answer.
        """
        number, epoch = task.number, task.epoch
        self.held[number] = task
        self._reports.start_lease(number, epoch)
        if not task.is_promoted:
            self.budget.start()
        try:
            task = self.worker.begin_at_checkpoint(task)
            task = replace(task, awaits_decisions=self.stopping.decides)
            self.stopping.begin(task)
            interrupts.breakable = self.executor.runs_in_caller
            self.executor.start(task)
        except KeyboardInterrupt:
            interrupts.raise_to(2)
            self._forced[number] = INTERRUPTED
            self._end(Ended(number, epoch, INTERRUPTED), self.held.pop(number))
        except (ExecutorFailed, StorageUnreachable):
            raise
        except Exception as error:
            outcome = failed(error, "it could not start")
            self.executor.stop(number, outcome)  # if it has begun all the same
            self._end(Ended(number, epoch, outcome), self.held.pop(number))
        finally:
            interrupts.breakable = False

    def collect(self, timeout_s: float = POLL_S) -> None:
        """Collect ended trials from the executor and put their ends into the outbox."""
        for ended in self.executor.poll(timeout_s if self.held else 0.0):
            held = self.held.get(ended.number)
            if held is not None and held.epoch == ended.epoch:
                del self.held[ended.number]
                self._end(ended, held)

    def take_due_reports(self) -> None:
        """Put reports that have waited long enough into the outbox."""
        if self._reports.is_due:
            self.outbox += self._reports.take_operations()

    def force(self, number: int, outcome: Outcome) -> None:
        """End a running trial with the given outcome, whatever its objective does."""
        if number in self.held and number not in self._forced:
            self._forced[number] = outcome
            self.executor.stop(number, outcome)

    def force_all(self, outcome: Outcome) -> None:
        """End all running trials with the given outcome."""
        for number in list(self.held):
            self.force(number, outcome)

    def fail(self, number: int, epoch: int, outcome: Outcome) -> None:
        """End a trial as FAILED that may still be running or already be told."""
        held = self.held.get(number)
        if held is not None and held.epoch == epoch:
            self.force(number, outcome)
            return
        self.failures.note_outcome(number, outcome, None)
        self.display.show_sentence(f"trial {number} failed: {outcome.reason}", logging.WARNING)

    def lose(self, number: int) -> None:
        """Stop a trial that another worker holds or a person ended, and drop its result."""
        if number in self.held:
            self.force(number, Outcome(TrialState.LOST, reason="its lease was lost"))
        else:
            text = f"trial {number} was taken over or ended elsewhere; its result is dropped"
            self.display.show_sentence(text, logging.WARNING)

    def give_back(self, error: BaseException) -> None:
        """Put ended trials into the outbox, and release all others to run again later."""
        try:
            self.collect()
        except Exception as further:
            self.display.show_sentence(
                f"while the run broke off: {sentence_of(further)}", logging.WARNING
            )
        reason = _broke_off(error).reason
        for number, held in self.held.items():
            self.outbox += self._reports.take_operations(number)
            self.outbox.append(Release(number, held.epoch, reason))

    def on_report(self, number: int, report: Report) -> Decision:
        """Buffer a trial's report and return the decision whether it continues.

        It never raises, because an executor would blame the objective or lose other ended trials.
        """
        try:
            if self._reports.note_report(number, report):
                self.outbox += self._reports.take_operations()
                self._write_now()
        except Exception as error:
            self.force(number, failed(error, "its report could not be kept"))
        try:
            if number not in self._forced:
                return self.stopping.decide(number, report)
        except Exception as error:
            self.force(number, failed(error, "its stopper failed"))
        return Decision("stop", self._forced[number].reason)

    def _write_now(self) -> None:
        try:
            self.write()
        except Exception as error:  # of the run, not of a trial; the loop raises it
            self.broken = self.broken or error
            self.force_all(_broke_off(error))

    def _end(self, ended: Ended, held: Task) -> None:
        """Put the end of a trial into the outbox."""
        number = ended.number
        forced = self._forced.pop(number, None)
        try:
            self.outbox += self._reports.end_lease(number)
            end = self._end_of(ended, held, forced)
        except Exception as error:
            outcome = failed(error, "its end could not be noted")
            end = Tell(number, ended.epoch, outcome, new_id())
        self.outbox.append(end)
        if isinstance(end, Release):
            return
        outcome = end.outcome
        self.failures.note_outcome(number, outcome, ended.exception)
        if outcome.state in NOTEWORTHY:
            level = logging.WARNING if outcome.state is TrialState.FAILED else logging.INFO
            self.display.show_sentence(f"trial {number} {outcome.state}: {outcome.reason}", level)

    def _end_of(self, ended: Ended, held: Task, forced: Outcome | None) -> Release | Pause | Tell:
        number, epoch = ended.number, ended.epoch
        if forced is not None and forced.state is TrialState.PREEMPTED and ended.has_result:
            forced = None  # it came to its end before it could be stopped
        if forced is None and (reason := self._second_chance(ended)):
            if not held.is_promoted:
                self.budget.give_back()
            self.display.show_sentence(f"trial {number} runs again: {reason}", logging.WARNING)
            return Release(number, epoch, reason)
        outcome = forced or ended.outcome
        if outcome.state in GIVEN_BACK:
            gives_way = outcome.state is TrialState.PREEMPTED
            return Release(number, epoch, outcome.reason, gives_way)
        if forced is None or forced.state is not TrialState.LOST:  # else it is another's by now
            self.worker.checkpoints.delete_leftovers(number, epoch)
        outcome = self.worker.reader.accepted(outcome)
        if outcome.state is TrialState.PAUSED:
            return Pause(number, epoch, outcome)
        return Tell(number, epoch, outcome, new_id())

    def _second_chance(self, ended: Ended) -> str:
        """Return why a trial runs again within this run, an empty text if it does not."""
        if ended.outcome.state is TrialState.WAITING:  # it lost its worker
            return ended.outcome.reason
        if ended.has_died and self.worker.checkpoints.may_go_on(ended.number, ended.epoch):
            return f"{ended.outcome.reason}; it goes on from its checkpoint"
        if ended.was_killed and not self.worker.checkpoints.has_any(ended.number):
            kills = self._kills[ended.number] = self._kills.get(ended.number, 0) + 1
            if kills <= self.worker.reader.record.spec.max_retries:
                return f"{ended.outcome.reason}; it begins again"
        return ""


def _broke_off(error: BaseException) -> Outcome:
    return Outcome(TrialState.WAITING, reason=f"the run broke off: {sentence_of(error)}")
