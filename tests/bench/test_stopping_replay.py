"""Rules that pause runs and choose which one goes on are replayed beside the others."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from tunekit.bench.stopping import replay
from tunekit.bench.stopping_rules import rules
from tunekit.testing.stoppers import curves

LOSSES = np.array([[3.0, 3.0, 3.0, 3.0], [2.0, 2.0, 2.0, 2.0], [1.0, 1.0, 1.0, 1.0]])


class Halving:
    """Pauses every run after its first report and lets only the best go on."""

    def __init__(self) -> None:
        self.first: dict[int, float] = {}
        self.waiting: list[int] = []
        self.calls: list[tuple[int, int]] = []

    def begin(self, n_runs: int) -> None:
        self.waiting = list(range(n_runs))
        self.n_runs = n_runs

    def choose(self) -> int | None:
        return self.waiting.pop(0) if self.waiting else None

    def report(self, number: int, epoch: int, loss: float) -> bool:
        self.calls.append((number, epoch))
        if epoch > 1:
            return False
        self.first[number] = loss
        if len(self.first) == self.n_runs:
            self.waiting = [min(self.first, key=self.first.__getitem__)]
        return True

    def is_paused(self, number: int) -> bool:
        return True

    def end(self, number: int, loss: float, *, is_stopped: bool) -> None:
        self.ended = number, is_stopped


def test_a_paused_run_goes_on_from_where_it_stood() -> None:
    rule = Halving()
    used, missed = replay(LOSSES, rule, slots=2)
    assert used == 6 and missed == 0.0
    assert rule.calls == [(0, 1), (1, 1), (2, 1), (2, 2), (2, 3), (2, 4)]
    assert rule.ended == (2, False)


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
@pytest.mark.slow
def test_hyperband_of_ray_ends_its_brackets_at_the_last_epoch() -> None:
    losses = np.array(curves(40, seed=3))
    made = {n: r for n, r in rules(losses.shape[1]).items() if n.startswith("Ray HyperBand")}
    assert len(made) == 2
    for make_rule in made.values():
        spent = [replay(losses, make_rule(), slots) for slots in (1, 8)]
        assert spent[0] == spent[1]  # synchronous: the number of slots changes nothing
        assert losses.size / 10 < spent[0][0] < losses.size
        assert np.isfinite(spent[0][1])
