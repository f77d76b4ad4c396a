"""Ray Tune's HyperBandScheduler as a rule: it chooses which run goes on, and pauses the others."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any


@dataclass(eq=False)
class _Run:
    """What the scheduler sees of a trial; the names of its states are Ray's."""

    number: int
    status: str = "PENDING"
    is_saving: bool = False

    @property
    def trial_id(self) -> str:
        return str(self.number)


class RayHyperbandRule:
    """Ray's synchronous Hyperband, asked by the calls that Tune's controller makes.

    All runs wait from the start, as Tune lets random configurations wait. A paused run goes on
    from where it stood. A loss that is not finite counts as the worst. Time is scaled so that a
    whole run takes a power of eta: the scheduler rounds its milestones down, and otherwise ends
    most brackets a few epochs before the last.

    Args:
        epochs: length of a whole run.
        eta: one in `eta` runs of a bracket goes on.
        n_halvings: of the most impatient bracket.
    """

    def __init__(self, epochs: int, *, eta: int = 3, n_halvings: int = 4) -> None:
        from ray.tune.schedulers import HyperBandScheduler

        logging.getLogger("ray.tune.schedulers.hyperband").setLevel(logging.WARNING)
        self._unit = eta**n_halvings / epochs
        self._scheduler: Any = HyperBandScheduler(
            time_attr="time",
            metric="loss",
            mode="min",
            max_t=eta**n_halvings,
            reduction_factor=eta,
        )
        self._runs: list[_Run] = []

    def begin(self, n_runs: int) -> None:
        """Take the number of runs that wait."""
        self._runs = [_Run(k) for k in range(n_runs)]
        for run in self._runs:
            self._scheduler.on_trial_add(self, run)

    def choose(self) -> int | None:
        """Return the run to start or to go on with, `None` if all that are left have to wait."""
        run = self._scheduler.choose_trial_to_run(self)
        if run is None:
            return None
        run.status = "RUNNING"
        return int(run.number)

    def report(self, number: int, epoch: int, loss: float) -> bool:
        """Give a result to the scheduler; return whether the run leaves its slot."""
        run = self._runs[number]
        time = round(epoch * self._unit, 9)
        result = {"loss": loss if math.isfinite(loss) else math.inf, "time": time}
        answer = str(self._scheduler.on_trial_result(self, run, result))
        if answer == "PAUSE":
            run.status = "PAUSED"
        return answer != "CONTINUE"

    def is_paused(self, number: int) -> bool:
        """Return whether a run that has left its slot may go on later."""
        return self._runs[number].status == "PAUSED"

    def end(self, number: int, loss: float, *, is_stopped: bool) -> None:
        """Note that a run is over."""
        self.stop_trial(self._runs[number])

    def stop_trial(self, run: _Run) -> None:
        """End a run: what the scheduler asks its controller to do with paused ones."""
        if run.status != "TERMINATED":
            run.status = "TERMINATED"
            self._scheduler.on_trial_remove(self, run)
