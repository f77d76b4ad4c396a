"""Checks of runs before a law is fitted: lengths, ranges, units, duplicates, divergence."""

from __future__ import annotations

import numpy as np
import pytest

from tunekit_surrogates.scaling import Runs

GOOD = {
    "lr": [1e-3, 2e-3, 1e-3],
    "bs": [2.0**18, 2.0**18, 2.0**19],
    "n": [1e8, 1e8, 2e8],
    "d": [2e9, 2e9, 4e9],
    "loss": [3.0, 2.9, 2.8],
}


def names(runs: Runs) -> list[str]:
    return [caution.name for caution in runs.cautions]


def test_good_runs_carry_no_caution():
    runs = Runs.checked(**GOOD)
    assert len(runs) == 3 and runs.cautions == ()
    assert runs.flops[0] == pytest.approx(6 * 1e8 * 2e9)


def test_batches_in_sequences_become_tokens():
    runs = Runs.checked(**GOOD | {"bs": [128, 128, 256]}, sequence_length=2048)
    assert runs.bs.tolist() == [128 * 2048, 128 * 2048, 256 * 2048]


def test_batches_that_look_like_sequences_are_named():
    assert names(Runs.checked(**GOOD | {"bs": [128, 128, 256]})) == ["mixed_units"]


def test_batches_in_two_units_are_named():
    runs = Runs.checked(**GOOD | {"bs": [128, 2.0**18, 2.0**19]})
    assert names(runs) == ["mixed_units"]
    assert "between 128 and 262144" in str(runs.cautions[0])


def test_a_diverged_run_stays_as_the_worst():
    runs = Runs.checked(**GOOD | {"loss": [3.0, float("nan"), float("inf")]})
    assert runs.loss.tolist() == [3.0, np.inf, np.inf]
    assert names(runs) == ["diverged_runs"]


def test_a_run_given_twice_counts_once_and_a_second_seed_counts_too():
    twice = {name: [*values, values[0]] for name, values in GOOD.items()}
    runs = Runs.checked(**twice)
    assert len(runs) == 3 and names(runs) == ["duplicated_runs"]
    assert len(Runs.checked(**twice | {"loss": [3.0, 2.9, 2.8, 3.01]})) == 4


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"loss": [3.0, -2.9, 2.8]}, "loss has 1 values that are out of range, the first -2.9"),
        ({"lr": [1e-3, 0.0, 1e-3]}, "lr has 1 values that are out of range"),
        ({"lr": [-3.0, -2.5, -3.0]}, "lr has 3 values that are out of range"),
        ({"lr": [1e3, 1e3, 1e3]}, "above 100 was not expected"),
        ({"n": [1e8, 0.1, 2e8]}, "seem to be in millions or billions"),
        ({"d": [2.0, 2.0, 4.0]}, "a batch larger than all their tokens"),
        ({"d": [2e9, 2e9]}, "different lengths"),
        ({"lr": ["a", "b", "c"]}, "values that are not numbers"),
    ],
)
def test_values_that_cannot_be_are_refused(changed, match):
    with pytest.raises(ValueError, match=match):
        Runs.checked(**GOOD | changed)


def test_no_runs_are_refused():
    with pytest.raises(ValueError, match="there are no runs"):
        Runs.checked([], [], n=[], d=[], loss=[])
