"""Which stopper for my curves? Replays recorded learning curves under rules of early stopping.

Streams of recorded runs start in a simulated order, one or more at a time; each report of a run
takes one tick. Every rule hears each loss and may stop the run.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tunekit.bench.stopping_rules import ChoosingRule, InOrder, MakeRule, StoppingRule
from tunekit.errors import InvalidArgument
from tunekit.stoppers.losses import worst_if_diverged

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tunekit.records import ObjectiveSpec, Report, TrialRecord

KEPT = 1e-3
"""Relative difference from the best final loss of a stream up to which it counts as kept."""

LEAST = 12
"""Complete curves from which a comparison means something."""


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """What a rule did on all streams.

    Attributes:
        rule: its name.
        slots: runs at a time.
        speed_up: reports of all runs to their end, divided by those that the rule let happen.
        least: the same for the worst stream.
        n_kept: streams whose best final loss was kept.
        n_streams: streams in all.
        loss: mean relative difference between the best that was kept and the best there was.
        error: standard error of `loss`.
        worst: the largest difference.
    """

    rule: str
    slots: int
    speed_up: float
    least: float
    n_kept: int
    n_streams: int
    loss: float
    error: float
    worst: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def replay(losses: NDArray[np.float64], rule: StoppingRule, slots: int) -> tuple[int, float]:
    """Return the reports that a rule let happen, and by how much it missed the best run.

    Args:
        losses: `(runs, reports)`; what is not finite is the worst.
        rule: a fresh one.
        slots: runs at a time.
    """
    n, length = losses.shape
    finals = np.where(np.isfinite(losses[:, -1]), losses[:, -1], np.inf)
    order = rule if isinstance(rule, ChoosingRule) else InOrder()
    order.begin(n)
    running: list[int] = []
    done, used, kept = [0] * n, 0, math.inf
    while True:
        while len(running) < slots and (chosen := order.choose()) is not None:
            running.append(chosen)
        if not running:
            break
        for number in list(running):
            loss = float(losses[number, done[number]])
            done[number] += 1
            used += 1
            is_last = done[number] == length
            is_stopped = rule.report(number, done[number], loss) and not is_last
            if is_last:
                kept = min(kept, float(finals[number]))
            if is_last or is_stopped:
                running.remove(number)
                if is_last or not order.is_paused(number):
                    rule.end(number, loss, is_stopped=is_stopped)
    best = float(finals.min())
    return used, (kept - best) / max(abs(best), 1e-12)


def streams(
    tasks: Sequence[NDArray[np.float64]], n_streams: int, n_runs: int
) -> Iterator[NDArray[np.float64]]:
    """Give `n_streams` random choices of `n_runs` curves of each task, the same every time."""
    for k, task in enumerate(tasks):
        for seed in range(n_streams):
            rng = np.random.default_rng([seed, k])
            yield task[rng.choice(len(task), min(n_runs, len(task)), replace=False)]


def compared(
    made: Mapping[str, MakeRule],
    tasks: Sequence[NDArray[np.float64]],
    *,
    n_streams: int,
    n_runs: int,
    slots: Sequence[int] = (1,),
) -> Iterator[RuleOutcome]:
    """Give what each rule does on the same streams, by rule and number of slots.

    Args:
        made: ways to make a fresh rule, by name.
        tasks: `(runs, reports)` losses of each.
        n_streams: of each task.
        n_runs: of each stream.
        slots: numbers of runs at a time.
    """
    for name, make_rule in made.items():
        for at_once in slots:
            np.random.seed(0)
            full, used, lost = [], [], []
            for losses in streams(tasks, n_streams, n_runs):
                spent, missed = replay(losses, make_rule(), at_once)
                full.append(losses.size)
                used.append(spent)
                lost.append(missed)
            n = len(lost)
            yield RuleOutcome(
                name,
                at_once,
                sum(full) / sum(used),
                min(f / u for f, u in zip(full, used, strict=True)),
                sum(x <= KEPT for x in lost),
                n,
                float(np.mean(lost)),
                float(np.std(lost, ddof=1) / math.sqrt(n)) if n > 1 else math.nan,
                max(lost),
            )


def whole_curves(
    trials: Sequence[TrialRecord],
    reports: Mapping[int, Sequence[Report]],
    objective: ObjectiveSpec,
) -> NDArray[np.float64]:
    """Return the `(runs, reports)` losses of the complete trials of a study.

    Trials with another number of reports than most of them are left out: a rule needs runs that
    were trained equally far.

    Raises:
        InvalidArgument: there are fewer than `LEAST` whole curves.
    """
    found = [
        [worst_if_diverged(objective.loss(r.metrics[objective.metric])) for r in reports[t.number]
         if objective.metric in r.metrics]
        for t in trials
        if t.number in reports
    ]  # fmt: skip
    length = Counter(map(len, found)).most_common(1)[0][0] if found else 0
    whole = [curve for curve in found if len(curve) == length]
    if length < 2 or len(whole) < LEAST:
        raise InvalidArgument(
            f"{len(whole)} complete trials have equally many reports of {objective.metric} "
            f"({length}), expected at least {LEAST} with two and more; run the study without a "
            "stopper for some trials, or with audit=1."
        )
    return np.array(whole)
