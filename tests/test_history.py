"""The folded trials of a study: best, front, counts."""

import math
import random
from collections import Counter
from dataclasses import replace

import numpy as np

from tunekit.history import History
from tunekit.records import MetricConstraint, ObjectiveSpec, TrialRecord, TrialState
from tunekit.spaces import Params
from tunekit_surrogates import non_domination
from tunekit_surrogates.non_domination import non_dominated

ERROR = (ObjectiveSpec("error"),)


def record(number, state=TrialState.COMPLETE, seq=None, **metrics):
    return TrialRecord(
        number, state, seq=number + 1 if seq is None else seq, params=Params(), metrics=metrics
    )


def test_the_best_does_not_depend_on_the_order_of_arrival():
    trials = [record(0, error=2.0), record(1, error=1.0), record(2, error=1.0)]
    for order in (trials, trials[::-1], [trials[2], trials[0], trials[1]]):
        history = History(ERROR)
        history.update(order, 3)
        assert history.best is not None
        assert history.best.number == 1


def test_a_maximised_metric_has_its_largest_value_as_the_best():
    history = History((ObjectiveSpec("accuracy", "maximize"),))
    history.update([record(0, accuracy=0.5), record(1, accuracy=0.9)], 2)
    assert history.best.number == 1
    assert history.losses(history.complete()).tolist() == [[-0.5], [-0.9]]


def test_an_infeasible_trial_is_never_the_best():
    history = History(ERROR, (MetricConstraint.parse("ms <= 8"),))
    history.update(
        [record(0, error=0.1, ms=9.0), record(1, error=0.5, ms=8.0), record(2, error=0.2)], 3
    )
    assert history.best.number == 1
    assert history.violation(history.get(0)) == 1.0
    assert history.violation(history.get(2)) == math.inf
    assert [t.number for t in history.pareto()] == [1]


def test_an_old_form_of_a_trial_does_not_replace_a_newer_one():
    history = History(ERROR)
    history.update([record(0, seq=5, error=1.0)], 5)
    history.update([record(0, TrialState.RUNNING, seq=2)], 2)
    assert history.get(0).state is TrialState.COMPLETE
    assert history.cursor == 5
    assert history.unfinished() == []


def test_the_front_holds_what_no_other_trial_dominates():
    rng = np.random.default_rng(0)
    values = rng.random((60, 2)).round(1)
    history = History((ObjectiveSpec("a"), ObjectiveSpec("b", "maximize")))
    history.update([record(i, a=x, b=y) for i, (x, y) in enumerate(values)], 60)
    front = {t.number for t in history.pareto()}
    for i, (a, b) in enumerate(values):
        dominated = any(
            (x <= a and y >= b) and (x < a or y > b) for j, (x, y) in enumerate(values) if j != i
        )
        assert (i in front) is not dominated


def test_the_kept_front_is_the_one_of_a_new_reader_after_every_change():
    rng = random.Random(4)
    objectives = (ObjectiveSpec("a"), ObjectiveSpec("b"), ObjectiveSpec("c", "maximize"))
    limit, target = (MetricConstraint.parse("a >= 1"),), {"epochs": 3}
    history = History(objectives, limit, target)
    for seq in range(1, 200):
        metrics = {k: float(rng.randint(0, 4)) for k in "abc"}
        state = rng.choice([TrialState.COMPLETE] * 4 + [TrialState.RUNNING])
        params = Params(epochs=rng.choice([1, 3, 3]))
        trial = replace(record(rng.randrange(60), state, seq=seq, **metrics), params=params)
        history.update([trial], seq)
        if seq == 100:
            history.aim({})
        fresh = History(objectives, limit, history.target)
        fresh.update(list(history), seq)
        front = [t.number for t in history.pareto()]
        assert front == [t.number for t in fresh.pareto()]
        assert all(history.pareto()[i] is history.get(n) for i, n in enumerate(front))
    history.restart(objectives, limit)
    assert history.pareto() == []


def test_a_new_result_is_compared_with_the_front_alone(monkeypatch):
    sizes = []

    def counted(y, *, equals):
        sizes.append(len(y))
        return non_dominated(y, equals=equals)

    monkeypatch.setattr(non_domination, "non_dominated", counted)
    history = History((ObjectiveSpec("a"), ObjectiveSpec("b")))
    history.update([record(i, a=float(i), b=float(i)) for i in range(50)], 50)
    assert [t.number for t in history.pareto()] == [0]
    history.update([record(50, a=1.0, b=-1.0)], 51)
    for _ in range(3):
        assert [t.number for t in history.pareto()] == [0, 50]
    assert sizes == [50, 2]


def test_finishing_is_reported_once():
    history = History(ERROR)
    assert history.update([record(0, TrialState.RUNNING, seq=1)], 1) == []
    done = record(0, seq=2, error=1.0)
    assert history.update([done], 2) == [done]
    assert history.update([record(0, seq=3, error=1.0)], 3) == []
    assert history.counts() == {TrialState.COMPLETE: 1}
    assert history.n_finished == 1


def test_what_is_counted_along_the_way_is_what_a_walk_through_all_trials_finds():
    chance, history = random.Random(0), History(ERROR)
    for seq in range(1, 300):
        number, state = chance.randrange(1 + seq // 4), chance.choice([*TrialState])
        sampler, domains = chance.choice(["", "random", "user"]), {"x": {}} if seq > 150 else {}
        trial = replace(record(number, state, seq, error=1.0), sampler=sampler, domains=domains)
        history.update([trial], seq)
        trials = list(history)
        assert history.counts() == Counter(t.state for t in trials)
        assert history.has_domains == (seq > 150)
        for before in (0, number, number + 1, 100):
            users = [t for t in trials if t.sampler == "user" and t.number < before]
            assert history.n_of_user(before=before) == len(users)
        assert history.changes[-1] == number
    assert len(history.changes) == 299


def test_the_changes_name_no_trial_whose_newer_form_is_known():
    history = History(ERROR)
    history.update([record(0, TrialState.RUNNING, 1), record(1, TrialState.RUNNING, 3)], 3)
    history.update([record(1, TrialState.WAITING, 2), record(0, error=1.0, seq=4)], 4)
    assert history.changes == [0, 1, 0]


def test_a_restart_changes_all_trials():
    history = History(ERROR)
    history.update([record(0, error=1.0, cost=2.0), record(1, TrialState.RUNNING)], 2)
    history.restart((ObjectiveSpec("cost"),), ())
    assert sorted(history.changes[2:]) == [0, 1]
    assert (len(history), history.counts(), history.n_of_user(before=9)) == (0, {}, 0)
    history.update([record(0, error=1.0, cost=2.0)], 2)
    assert history.changes[4:] == [0]
    assert history.counts() == {TrialState.COMPLETE: 1}
