"""A sick place is found by few failures; a bad objective makes no place sick."""

import random

from tunekit.executors.ray.quarantine import Quarantine


def test_a_node_that_fails_everything_is_sick_after_three():
    quarantine = Quarantine(3)
    named = [quarantine.note("sick", (), is_failure=True) for _ in range(3)]
    assert named == [None, None, ("sick",)]
    assert quarantine.streak(("sick",)) == 3


def test_one_success_between_failures_clears_a_node():
    quarantine = Quarantine(3)
    ends = [True, True, False, True, True]
    assert [quarantine.note("n", (), is_failure=f) for f in ends] == [None] * 5


def test_a_sick_device_is_named_and_not_its_node():
    quarantine = Quarantine(3)
    named = []
    for _ in range(3):
        quarantine.note("n", ("0",), is_failure=False)
        named.append(quarantine.note("n", ("1",), is_failure=True))
    assert named == [None, None, ("n", "1")]


def test_an_objective_that_fails_everywhere_makes_no_node_sick():
    quarantine = Quarantine(3)
    named = [quarantine.note(f"n{k % 2}", (), is_failure=True) for k in range(1000)]
    assert not any(named)


def test_an_objective_that_often_fails_makes_a_node_sick_once_in_a_hundred_trials_at_most():
    rng = random.Random(1)
    quarantine = Quarantine(3)
    for k in range(100):  # what is usual here has to be learnt first
        quarantine.note(f"n{k % 4}", (), is_failure=rng.random() < 0.5)
    named = [quarantine.note(f"n{k % 4}", (), is_failure=rng.random() < 0.5) for k in range(1000)]
    assert sum(p is not None for p in named) <= 10


def test_it_can_be_turned_off():
    quarantine = Quarantine(0)
    assert not any(quarantine.note("n", (), is_failure=True) for _ in range(50))
