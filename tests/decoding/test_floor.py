"""The paired test behind the accuracy floor, against other implementations and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from tunekit.decoding.floor import Floor, gap_interval
from tunekit.decoding.measured import Given, Measured
from tunekit.noise.paired_tests import mcnemar


def measured(right: list[int] | np.ndarray) -> Measured:
    return Measured({i: Given(bool(r), 10, 0.0, 0.1) for i, r in enumerate(right)})


@pytest.mark.parametrize(("lost", "won"), [(1, 0), (5, 1), (8, 3), (3, 8), (40, 25)])
def test_the_test_is_the_exact_sign_test_of_the_questions_that_differ(lost, won):
    wanted = binomtest(lost, lost + won, 0.5, alternative="greater").pvalue
    assert mcnemar(lost, won) == pytest.approx(wanted, rel=1e-12)


def test_without_a_loss_nothing_is_worse():
    assert mcnemar(0, 0) == mcnemar(0, 9) == 1.0


def test_the_tolerance_forgives_a_share_of_the_questions():
    baseline, point = measured([1] * 100), measured([0] * 8 + [1] * 92)
    assert Floor().p_worse(point, baseline) == pytest.approx(2**-8)
    assert Floor(tolerance=0.05).p_worse(point, baseline) == pytest.approx(2**-3)
    assert Floor(tolerance=0.08).p_worse(point, baseline) == 1.0


def test_only_questions_that_both_were_asked_count():
    baseline = measured([1] * 20)
    assert Floor().p_worse(Measured({99: Given(False, 1, 0.0, 0.0)}), baseline) == 1.0


def looks(rng: np.random.Generator, accuracy: float) -> bool:
    """Whether a trial of 200 questions in batches of 10 is ended early."""
    hard = rng.random(200)
    baseline = measured(hard < 0.8)
    own = np.where(rng.random(200) < 0.3, rng.random(200), hard)  # pairs that differ by chance
    right = own < accuracy
    return any(
        Floor(alpha=0.1).is_broken_at(look, measured(right[: 10 * look]), baseline)
        for look in range(1, 21)
    )


def test_a_point_as_good_as_the_baseline_is_rarely_ended_early_and_a_bad_one_mostly():
    rng = np.random.default_rng(7)
    assert np.mean([looks(rng, 0.8) for _ in range(300)]) <= 0.1
    assert np.mean([looks(rng, 0.55) for _ in range(100)]) >= 0.9


def test_the_interval_of_the_gap_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        hard = rng.random(80)
        own = np.where(rng.random(80) < 0.3, rng.random(80), hard)
        _, low, high = gap_interval(measured(own < 0.75), measured(hard < 0.8))
        held += low <= -0.05 <= high
    assert held / 400 >= 0.93
