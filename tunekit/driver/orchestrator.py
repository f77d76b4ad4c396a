"""The only loop: claim trials, propose, start, collect, decide, tell. Kill it at any instant.

All that must survive is in the storage: a trial that was claimed and not told runs again when
its lease ends, or at once where the claimant is seen to be dead.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any
from uuid import uuid4

from tunekit.driver.early_stopping import Judge
from tunekit.driver.heartbeat import Heart
from tunekit.driver.held_leases import Leases
from tunekit.driver.interrupts import Interrupts
from tunekit.driver.report_buffer import ReportBuffer
from tunekit.driver.run_settings import Callback, Ending, Failures, Goal, Progress, Settings
from tunekit.driver.session import Assignment, Ledger
from tunekit.driver.trial_budget import Quota
from tunekit.errors import SpaceExhausted, StorageUnreachable, TunekitError
from tunekit.executors.base import Ended, Executor
from tunekit.records import Outcome, Report, StudyState, TrialState
from tunekit.shown import printable
from tunekit.stoppers.base import Decision, Stopper
from tunekit.storages.base import Lease, Operation, Pause, Release, Saved, Tell

log = logging.getLogger("tunekit")

POLL_S = 0.5
WAIT_S = 0.2
LOOK_S = 1.0
INTERRUPTED = "interrupted; runs again on resume"
CANCELLED = Outcome(TrialState.CANCELLED, reason="the study was cancelled")


class Orchestrator:
    """Runs trials of one study on one executor until a goal is reached.

    Attributes:
        is_idle: the last step found nothing to do: the study is paused, or other workers hold
            the last trials.
    """

    def __init__(
        self,
        ledger: Ledger,
        executor: Executor,
        *,
        goal: Goal,
        settings: Settings,
        stopper: Stopper | None = None,
        callbacks: Sequence[Callback] = (),
        progress: Progress | None = None,
        interrupts: Interrupts | None = None,
    ) -> None:
        self.ledger = ledger
        self.executor = executor
        self.goal = goal
        self.settings = settings
        self.callbacks = callbacks
        self.progress = progress
        self.is_idle = False
        self._leases = Leases(ledger, settings.lease_s)
        self._running = self._leases.held
        self._forced: dict[int, Outcome] = {}
        self._outbox: list[Operation] = []
        self._reports = ReportBuffer(ledger.keeper)
        self._claimed: tuple[Lease, ...] = ()
        self._judge = Judge(ledger, stopper)
        self._begin = self._last_look = time.monotonic()
        self._is_late = False
        self._is_told_paused = False
        self._quota = Quota(goal, ledger.history)
        self._wish = StudyState.ACTIVE
        self._failures = Failures(settings, ledger.history)
        self._owns_interrupts = interrupts is None
        self._interrupts = interrupts or Interrupts(partial(self._say, level=logging.WARNING))

    def run(self, objective: Callable[..., Any]) -> Ending:
        """Run until a goal is reached, the study is stopped, or somebody interrupts.

        Raises:
            ObjectiveFailed: the objective raised what `settings.catch` does not cover.
            TooManyFailures: more trials failed than `settings` let, or all in the same way.
            ExecutorFailed: nothing is left to run trials on.
            StorageUnreachable: the storage stayed away; unfinished trials run again later.
        """
        with self.opened(objective):
            while (ending := self.step()) is None:
                if self.is_idle:
                    time.sleep(WAIT_S)
                    self.look_around()
            return ending

    @contextmanager
    def opened(self, objective: Callable[..., Any]) -> Iterator[None]:
        """Be ready for steps; give back what runs if they end with an error."""
        ledger = self.ledger
        ledger.refresh()
        ledger.expire_dead()
        self._judge.load()
        if self.progress is not None:
            self.progress.start(ledger.record.spec.name, ledger.history, self._quota.total())
        try:
            self.executor.open(objective, self._on_report)
            self._begin = time.monotonic()
            interrupts = self._interrupts if self._owns_interrupts else nullcontext()
            with interrupts, Heart(self._leases.renew, self.settings.lease_s / 3):
                yield
        except BaseException as error:
            self._abandon(error)
            raise
        finally:
            self.executor.close()
            if self.progress is not None:
                self.progress.close()

    # The loop

    def step(self) -> Ending | None:
        """Take one turn; return how the run ends, `None` while it goes on.

        Raises:
            What `run` raises.
        """
        timeout_s = self.goal.timeout_s
        self._is_late = timeout_s is not None and time.monotonic() - self._begin >= timeout_s
        claimed = self._turn()
        for number in self._leases.strays():
            self._lost(number)
        if self._interrupts.count >= 2 or self._wish is StudyState.CANCELLED:
            self._end_running()
        if self.progress is not None:
            self.progress.update(self.ledger.history, len(self._running))
        self.collect()
        self.is_idle = False
        if self._running or self._outbox:
            return None
        ending = self._ending()
        if ending is not None and not (self.executor.slots == 0 and self.demand()):
            if self._failures.error is not None:
                raise self._failures.error
            return ending
        self.is_idle = not claimed
        return None

    def demand(self) -> int:
        """Return how many more trials it could start now, were there slots for them."""
        if not self._may_claim():
            return 0
        known = self._quota.demand() or len(self._judge.due())
        # What was lost elsewhere is not known until it is tried: one at a time.
        return known or int(self._quota.want(1) > 0 and self.ledger.has_orphans(self._running))

    def preempt(self, numbers: Sequence[int], reason: str) -> None:
        """Let running trials give way: they go on later, from their last checkpoints."""
        for number in numbers:
            if number in self._running:
                self._force(number, Outcome(TrialState.PREEMPTED, reason=reason))

    def _turn(self) -> bool:
        """Write what there is to write and claim for the free slots; return if any was given."""
        free = self._free()
        if free:
            self._promote(free)
        want = self._quota.want(free)
        if self._reports.is_due:
            self._outbox += self._reports.take()
        if not want and not self._outbox:
            if time.monotonic() - self._last_look >= LOOK_S:
                self._look()
            return False
        leases = self._exchange(want)
        for lease in leases:
            if lease.number in self._running:  # taken back from another while ours still runs
                self._outbox.append(Release(lease.number, lease.epoch, "still runs elsewhere"))
        leases = tuple(x for x in leases if x.number not in self._running)
        if not leases:
            return False
        try:
            assigned = self.ledger.assign(leases, lease_s=self.settings.lease_s)
        except SpaceExhausted as error:
            self._quota.is_exhausted = True
            self._say(error.message)
            return False
        for assignment in assigned:
            self._start(assignment)
        self._claimed = ()
        return True

    def _exchange(self, want: int = 0) -> tuple[Lease, ...]:
        if want:
            self._outbox = [*self._leases.overdue(), *self._outbox]
        answer = self.ledger.exchange(
            self._outbox,
            claim=want,
            max_trials=self._quota.max_trials(),
            lease_s=self.settings.lease_s,
        )
        outbox, self._outbox = self._outbox, []
        self._claimed = answer.leases
        self._wish = answer.study_state
        self._last_look = time.monotonic()
        self._digest(outbox, answer.statuses)
        return answer.leases

    def _free(self) -> int:
        """Return how many trials may start now."""
        return max(self.executor.slots - len(self._running), 0) if self._may_claim() else 0

    def _may_claim(self) -> bool:
        is_ending = self._is_late or self._interrupts.count or self._failures.error is not None
        return not is_ending and self._wish is StudyState.ACTIVE

    def _promote(self, free: int) -> None:
        """Ask the stopper which paused trials go on; it has to know what has ended by now."""
        if self._judge.can_promote and self._outbox:
            self._exchange()
        for number in self._judge.promote(free):
            self._say(f"trial {number} goes on")

    def _start(self, assignment: Assignment) -> None:
        self._running[assignment.number] = assignment
        self._reports.begin(assignment.number, assignment.epoch)
        self._quota.started += not assignment.is_promoted
        task = self.ledger.task(assignment)
        self._judge.begin(task)
        self._interrupts.breakable = self.executor.runs_in_caller
        try:
            self.executor.start(task)
        except KeyboardInterrupt:
            del self._running[task.number]
            self._outbox += self._reports.end(task.number)
            self._outbox.append(Release(task.number, task.epoch, INTERRUPTED))
            self._interrupts.count = max(2, self._interrupts.count)
        finally:
            self._interrupts.breakable = False

    def collect(self) -> None:
        """Take ended trials from the executor and put their tells into the outbox."""
        for ended in self.executor.poll(POLL_S if self._running else 0.0):
            held = self._running.get(ended.number)
            if held is not None and held.epoch == ended.epoch:
                del self._running[ended.number]
                self._end(ended, held)

    def _end(self, ended: Ended, held: Assignment) -> None:
        number, epoch = ended.number, ended.epoch
        self._outbox += self._reports.end(number)
        forced = self._forced.pop(number, None)
        if forced is not None and forced.state is TrialState.PREEMPTED and ended.has_result:
            forced = None  # it came to its end before it could be stopped
        if forced is None and (reason := self._second_chance(ended)):
            self._quota.started -= not held.is_promoted
            self._outbox.append(Release(number, epoch, reason))
            self._say(f"trial {number} runs again: {reason}", logging.WARNING)
            return
        outcome = forced or ended.outcome
        if outcome.state in (TrialState.WAITING, TrialState.PREEMPTED):
            gives_way = outcome.state is TrialState.PREEMPTED
            self._outbox.append(Release(number, epoch, outcome.reason, gives_way))
            return
        if forced is None or forced.state is not TrialState.LOST:  # else it is another's by now
            self.ledger.keeper.tidy(number, epoch)
        outcome = self.ledger.accepted(outcome)
        self._failures.note(number, outcome, ended.exception)
        if outcome.state is TrialState.PAUSED:
            self._outbox.append(Pause(number, epoch, outcome))
            self._say(f"trial {number} paused: {outcome.reason}")
            return
        self._outbox.append(Tell(number, epoch, outcome, uuid4().hex))
        if outcome.state in (TrialState.FAILED, TrialState.DIVERGED, TrialState.STOPPED):
            level = logging.WARNING if outcome.state is TrialState.FAILED else logging.INFO
            self._say(f"trial {number} {outcome.state}: {outcome.reason}", level)

    def _second_chance(self, ended: Ended) -> str:
        """Return why a trial runs again in this very run; an empty text if it does not."""
        if ended.outcome.state is TrialState.WAITING:  # it lost its worker
            return ended.outcome.reason
        if ended.has_died and self.ledger.keeper.may_go_on(ended.number, ended.epoch):
            return f"{ended.outcome.reason}; it goes on from its checkpoint"
        return ""

    def _digest(self, outbox: Sequence[Operation], statuses: Sequence[str]) -> None:
        """Look at the answers to our writes and take over what changed in the study."""
        told = []
        for operation, status in zip(outbox, statuses, strict=True):
            if status != "ok":
                self._lost(operation.number)
            elif isinstance(operation, Tell):
                told.append(operation.number)
            elif isinstance(operation, Saved):
                self.ledger.keeper.stored(operation)
        history = self.ledger.history
        before = history.best
        finished = self.ledger.refresh()
        self._judge.follow(finished, {*told, *self._running})
        best = history.best
        if best is not None and best is not before:
            objective = self.ledger.record.spec.objectives[0]
            value = best.metrics[objective.metric]
            self._say(f"trial {best.number} is the best so far: {objective.metric} = {value:.6g}")
        for number in told if self.callbacks else ():
            trial = history.get(number)
            for callback in self.callbacks:
                assert trial is not None
                callback(trial)

    def _ending(self) -> Ending | None:
        """Return how the run ends if nothing runs and nothing more is to come."""
        if self._interrupts.count:
            return "interrupted"
        if self._quota.is_exhausted and not self.ledger.history.n_promoted:
            return "exhausted"
        if self._wish in (StudyState.STOPPED, StudyState.CANCELLED):
            return "stopped" if self._wish is StudyState.STOPPED else "cancelled"
        if self._is_late:
            return "timeout"
        is_done = self._failures.error is not None or self._quota.is_reached()
        return "done" if is_done else None

    def look_around(self) -> None:
        """See what has changed while there was nothing to do."""
        if self._wish is StudyState.PAUSED and not self._is_told_paused:
            self._is_told_paused = True
            self._say("the study is paused: waiting until it is resumed", logging.WARNING)
        self._look()
        self.ledger.expire_dead()

    def _look(self) -> None:
        """See, without writing, what others want of the study and have done to our trials."""
        self._last_look = time.monotonic()
        self._wish = self.ledger.storage.get_study(self.ledger.record.spec.name).state
        self.ledger.refresh()
        for number, ours in list(self._running.items()):
            known = self.ledger.history.get(number)
            if known is not None and (known.state.is_finished or known.epoch > ours.epoch):
                self._lost(number)

    # Reports, stops and leases

    def _on_report(self, number: int, report: Report) -> Decision:
        if self._reports.note(number, report):
            self._outbox += self._reports.take()
            self._exchange()
        if number not in self._forced and self._wish is StudyState.CANCELLED:
            self._forced[number] = CANCELLED
        if number in self._forced:
            return Decision("stop", self._forced[number].reason)
        return self._judge.decide(number, report)

    def _end_running(self) -> None:
        cancelled = self._wish is StudyState.CANCELLED
        forced = CANCELLED if cancelled else Outcome(TrialState.WAITING, reason=INTERRUPTED)
        for number in list(self._running):
            self._force(number, forced)

    def _lost(self, number: int) -> None:
        """Another worker has the trial, or a person ended it: stop it, its result is not taken."""
        if number in self._running:
            self._force(number, Outcome(TrialState.LOST, reason="its lease was lost"))
        else:
            text = f"trial {number} was taken over or ended elsewhere; its result is dropped"
            self._say(text, logging.WARNING)

    def _force(self, number: int, outcome: Outcome) -> None:
        """End a running trial with an outcome of ours, whatever its objective makes of it."""
        if number not in self._forced:
            self._forced[number] = outcome
            self.executor.stop(number, outcome)

    def _abandon(self, error: BaseException) -> None:
        """The run breaks off: store what has ended, give back the rest, let no trial hang."""
        try:
            self.collect()
            for number, held in self._running.items():
                self._outbox += self._reports.take(number)
                self._outbox.append(Release(number, held.epoch, f"the run broke off: {error!r}"))
            held_too = [x for x in self._claimed if x.number not in self._running]
            self._outbox += [Release(x.number, x.epoch, "not started") for x in held_too]
            if not isinstance(error, StorageUnreachable):
                self.ledger.exchange(self._outbox, lease_s=self.settings.lease_s)
                self._outbox = []
        except TunekitError as further:
            log.warning("while the run broke off: %s", further)
        unsaved = [x.number for x in self._outbox if isinstance(x, Tell)]
        if unsaved:
            log.error("the results of trials %s were not stored; they run again", unsaved)

    def _say(self, text: str, level: int = logging.INFO) -> None:
        """Tell the person: by the display where there is one, else by the log."""
        if self.progress is not None:
            self.progress.event(text)
        else:
            log.log(level, printable(text))
