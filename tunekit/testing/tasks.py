"""Makes tasks for the executor conformance suite and runs them to their end."""

from __future__ import annotations

from typing import Any

from tunekit.executors.base import Ended, Executor, Task
from tunekit.records import ObjectiveSpec
from tunekit.spaces import Params

PATIENCE_S = 60.0
LOSS = (ObjectiveSpec("loss"),)


def make_task(number: int, *, awaits_decisions: bool = True, **params: Any) -> Task:
    """Return a task with one objective, "loss"."""
    return Task(
        "conformance",
        number,
        1,
        Params(params),
        LOSS,
        seed=1,
        awaits_decisions=awaits_decisions,
    )


def run_tasks(executor: Executor, n: int, *, awaits_decisions: bool = True) -> list[Ended]:
    """Run tasks 0 to n - 1 with all slots filled; return their `Ended` in order of number."""
    waiting = [make_task(k, awaits_decisions=awaits_decisions) for k in range(n)]
    ended: list[Ended] = []
    running = 0
    while waiting or running:
        while waiting and running < executor.slots:
            executor.start(waiting.pop(0))
            running += 1
        new = executor.poll(PATIENCE_S)
        assert new, f"nothing ended within {PATIENCE_S} s"
        ended += new
        running -= len(new)
    assert executor.poll(0) == [], "an Ended too many"
    assert sorted(e.number for e in ended) == list(range(n))
    return sorted(ended, key=lambda e: e.number)
