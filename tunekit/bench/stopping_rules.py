"""Rules of early stopping, of tunekit and of its peers, behind one interface."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import Any, Protocol, TypeAlias, runtime_checkable

from tunekit.bench.ray_hyperband import RayHyperbandRule
from tunekit.history import History
from tunekit.records import AUDIT, ObjectiveSpec, Report, TrialRecord, TrialState
from tunekit.registry import make
from tunekit.stoppers.audited import audited
from tunekit.stoppers.base import CurveView

LOSS = (ObjectiveSpec("loss"),)


class StoppingRule(Protocol):
    """A stopping rule in one stream; trials are numbered in the order of their start."""

    def report(self, number: int, epoch: int, loss: float) -> bool:
        """Take the loss after an epoch, counted from 1, and return whether the trial stops."""
        ...

    def end(self, number: int, loss: float, *, is_stopped: bool) -> None:
        """Take the end of a trial."""
        ...


@runtime_checkable
class ChoosingRule(Protocol):
    """A rule that also chooses which run goes next, and may let runs pause."""

    def begin(self, n_runs: int) -> None:
        """Take the number of runs that wait."""
        ...

    def choose(self) -> int | None:
        """Return the run to start or to go on with, `None` if all that are left have to wait."""
        ...

    def is_paused(self, number: int) -> bool:
        """Return whether a run that has left its slot may go on later."""
        ...


class InOrder:
    """Starts the runs of a stream one after the other, as a `ChoosingRule`; none pauses."""

    def __init__(self) -> None:
        self._waiting: Iterator[int] = iter(())

    def begin(self, n_runs: int) -> None:
        """Take the number of runs that wait."""
        self._waiting = iter(range(n_runs))

    def choose(self) -> int | None:
        """Return the next run, `None` after the last."""
        return next(self._waiting, None)

    def is_paused(self, number: int) -> bool:
        """Return that no run is."""
        return False


class OwnRule:
    """A stopper of tunekit by its short name, with a share of its verdicts audited."""

    def __init__(self, name: str, audit: float = 0.0, **options: object) -> None:
        self._stopper = audited(make("stopper", name, options), seed=0, share=audit)
        self._history = History(LOSS)
        self._reports: dict[int, list[Report]] = {}
        self._seq = 0

    def report(self, number: int, epoch: int, loss: float) -> bool:
        """Ask the stopper about a trial that goes on."""
        if number not in self._reports:
            self._reports[number] = []
            self._put(TrialRecord(number, TrialState.RUNNING))
        self._reports[number].append(Report(epoch, {"loss": loss}))
        view = CurveView(LOSS, self._history, self._reports)
        return bool(self._stopper.decide(number, view).action == "stop")

    def end(self, number: int, loss: float, *, is_stopped: bool) -> None:
        """Note that a trial is over."""
        state = TrialState.COMPLETE if math.isfinite(loss) else TrialState.DIVERGED
        state = TrialState.STOPPED if is_stopped else state
        self._put(TrialRecord(number, state, metrics={"loss": loss}))

    def _put(self, record: TrialRecord) -> None:
        self._seq += 1
        self._history.update([replace(record, seq=self._seq)], self._seq)


class OptunaRule:
    """A pruner of Optuna in a study of its own."""

    def __init__(self, name: str, **options: object) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        pruner = getattr(optuna.pruners, name)(**options)
        sampler = optuna.samplers.RandomSampler(seed=0)
        self._study = optuna.create_study(pruner=pruner, sampler=sampler)
        self._trials: dict[int, optuna.Trial] = {}
        self._pruned = optuna.trial.TrialState.PRUNED
        self._failed = optuna.trial.TrialState.FAIL

    def report(self, number: int, epoch: int, loss: float) -> bool:
        """Report and ask, as an objective does."""
        if number not in self._trials:
            self._trials[number] = self._study.ask()
        self._trials[number].report(loss, epoch)
        return bool(self._trials[number].should_prune())

    def end(self, number: int, loss: float, *, is_stopped: bool) -> None:
        """Tell the study."""
        trial = self._trials[number]
        if is_stopped:
            self._study.tell(trial, state=self._pruned)
        elif math.isfinite(loss):
            self._study.tell(trial, loss)
        else:
            self._study.tell(trial, state=self._failed)


class RayRule:
    """A scheduler of Ray Tune, asked by the calls that Tune's controller makes."""

    @dataclass(eq=False)
    class _Trial:
        trial_id: str
        status: str = "RUNNING"

    def __init__(self, name: str, **options: object) -> None:
        from ray.tune import schedulers

        made = getattr(schedulers, name)(metric="loss", mode="min", time_attr="epoch", **options)
        self._scheduler = made
        self._trials: dict[int, RayRule._Trial] = {}

    def get_live_trials(self) -> list[_Trial]:
        """Return the running trials: what a scheduler asks its controller for."""
        return list(self._trials.values())

    def report(self, number: int, epoch: int, loss: float) -> bool:
        """Give a result to the scheduler."""
        if number not in self._trials:
            self._trials[number] = RayRule._Trial(str(number))
            self._scheduler.on_trial_add(self, self._trials[number])
        result = {"loss": loss, "epoch": epoch}
        answer = self._scheduler.on_trial_result(self, self._trials[number], result)
        return str(answer) == "STOP"

    def end(self, number: int, loss: float, *, is_stopped: bool) -> None:
        """Drop a trial; its results have been given."""
        del self._trials[number]


MakeRule: TypeAlias = Callable[[], StoppingRule]


def rules(epochs: int, extra: tuple[str, ...] = ()) -> dict[str, MakeRule]:
    """Return ways to make each rule, by the name of its row.

    Args:
        epochs: length of a whole curve, which some rules of peers are told.
        extra: further stoppers of tunekit by short name.
    """
    own: dict[str, dict[str, Any]] = {
        "second_look": {},
        "second_look with audit": {"audit": AUDIT},
        "asha": {},
        "asha with audit": {"audit": AUDIT},
        "asha eta=3 from 3": {"eta": 3, "min_resource": 3},
        "hyperband": {},
        "median": {},
        "patience": {},
        "fast": {},
        "fast with audit": {"audit": AUDIT},
    }
    own |= {name: {} for name in extra}
    made: dict[str, MakeRule] = {
        label: partial(OwnRule, label.split()[0], **options) for label, options in own.items()
    }
    halving = {"min_resource": 4, "reduction_factor": 2}
    if find_spec("optuna") is not None:
        for name, options in (
            ("SuccessiveHalving 4, 2", halving),
            ("SuccessiveHalving 3, 3", {"min_resource": 3, "reduction_factor": 3}),
            ("Hyperband 4, 2", {**halving, "max_resource": epochs}),
            ("Hyperband (default)", {}),
            ("Median (default)", {}),
        ):
            made[f"Optuna {name}"] = partial(OptunaRule, f"{name.split()[0]}Pruner", **options)
    if find_spec("ray") is not None:
        asha = {"grace_period": 4, "reduction_factor": 2, "max_t": epochs}
        made["Ray ASHA 4, 2"] = partial(RayRule, "ASHAScheduler", **asha)
        made["Ray HyperBand (default)"] = partial(RayHyperbandRule, epochs)
        made["Ray HyperBand 4, 2"] = partial(RayHyperbandRule, epochs, eta=2, n_halvings=4)
        made["Ray Median from 4"] = partial(RayRule, "MedianStoppingRule", grace_period=4)
    return made
