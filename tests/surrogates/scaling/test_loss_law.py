"""Laws of the loss: recovered coefficients, bootstraps, further axes, bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tunekit_surrogates.scaling import PRESETS, LossLaw, fit_loss, fit_loss_over

BESIROGLU = np.vectorize(PRESETS["besiroglu"].loss)


def chinchilla(seed, *, noise=1e-3, k=245):
    """Return N, D and losses of Besiroglu's surface at scales such as Chinchilla's."""
    rng = np.random.default_rng(seed)
    compute = np.exp(rng.uniform(np.log(6e18), np.log(3e21), k))
    n = np.sqrt(compute / 120) * np.exp(rng.uniform(-1.6, 1.6, k))
    d = compute / 6 / n
    return n, d, BESIROGLU(n, d) * np.exp(rng.normal(0, noise, k))


def test_the_coefficients_of_a_known_surface_come_back():
    n, d, loss = chinchilla(0)
    law = fit_loss(n, d, loss=loss)
    assert law.e == pytest.approx(1.8172, abs=0.005)
    assert law.exponents == pytest.approx([0.3478, 0.3658], abs=0.003)
    assert law.loss(70e9, 1.4e12) == pytest.approx(PRESETS["besiroglu"].loss(70e9, 1.4e12), 0.002)


def test_outliers_hardly_move_the_coefficients():
    n, d, loss = chinchilla(1)
    loss[::25] *= 1.2
    law = fit_loss(n, d, loss=loss)
    assert law.e == pytest.approx(1.8172, abs=0.01)


def test_bootstrap_spreads_are_those_of_repeated_experiments():
    laws = [fit_loss(*chinchilla(seed)[:2], loss=chinchilla(seed)[2]) for seed in range(12)]
    true_sd = np.std([law.exponents for law in laws], axis=0, ddof=1)
    n, d, loss = chinchilla(0)
    law = fit_loss(n, d, loss=loss, n_bootstraps=200, rng=np.random.default_rng(0))
    spreads = np.array([law.spreads["k:n"], law.spreads["k:d"]])
    assert np.all((spreads / true_sd > 0.5) & (spreads / true_sd < 2.0))
    assert law.cautions == ()


def test_bootstraps_are_the_fits_of_the_resamples():
    n, d, loss = chinchilla(3, k=100)
    law = fit_loss(n, d, loss=loss, n_bootstraps=3, rng=np.random.default_rng(5))
    counts = np.random.default_rng(5).multinomial(100, np.full(100, 0.01), size=3)
    for draw, count in zip(law.draws, counts, strict=True):
        again = fit_loss(np.repeat(n, count), np.repeat(d, count), loss=np.repeat(loss, count))
        assert np.exp(draw[0]) == pytest.approx(again.e, abs=2e-3)
        assert draw[3:] == pytest.approx(again.exponents, abs=2e-3)


def test_quantiles_hold_the_noise_of_a_new_run():
    n, d, loss = chinchilla(0, noise=0.01)
    law = fit_loss(n, d, loss=loss, n_bootstraps=100)
    low, high = law.quantiles(1e9, 2e10, levels=(0.05, 0.95))
    assert np.log(high / low) == pytest.approx(2 * 1.645 * 0.01, rel=0.3)


def test_one_axis_gives_a_power_law_with_an_offset():
    d = np.geomspace(1e9, 1e12, 20)
    law = fit_loss_over({"d": d}, loss=2.0 + 300.0 / d**0.3)
    assert law.coefficients == pytest.approx({"E": 2.0, "a:d": 300.0, "k:d": 0.3}, rel=1e-2)


def test_a_datastore_is_a_third_axis():
    rng = np.random.default_rng(0)
    n, d, store = np.exp(
        rng.uniform(np.log([1e8, 1e9, 1e9]), np.log([1e10, 1e12, 1e13]), (120, 3))
    ).T
    loss = 1.5 + 400.0 / n**0.34 + 410.0 / d**0.28 + 30.0 / store**0.2
    law = fit_loss_over({"n": n, "d": d, "store": store}, loss=loss)
    assert law.exponents == pytest.approx([0.34, 0.28, 0.2], abs=0.03)
    assert law.loss(1e9, 1e11, 1e12) == pytest.approx(
        1.5 + 400.0 / 1e9**0.34 + 410.0 / 1e11**0.28 + 30.0 / 1e12**0.2, rel=1e-3
    )


def test_terms_of_steps_and_batch_have_a_best_batch_between_the_two():
    rng = np.random.default_rng(0)
    n, d, bs = np.exp(rng.uniform(np.log([1e8, 1e10, 2e5]), np.log([2e9, 3e11, 4e6]), (200, 3))).T
    loss = 1.7 + 400.0 / n**0.34 + 410.0 / d**0.28 + 20.0 / (d / bs) ** 0.6 + 900.0 / bs**0.8
    law = fit_loss(n, d, loss=loss, bs=bs)
    assert law.axes == ("n", "d", "steps", "bs")
    tried = np.geomspace(1e5, 1e7, 200)
    same = np.ones_like(tried)
    found = tried[np.argmin(law.loss(1e9 * same, 1e11 * same, 1e11 / tried, tried))]
    true = tried[np.argmin(20.0 / (1e11 / tried) ** 0.6 + 900.0 / tried**0.8)]
    assert found == pytest.approx(true, rel=0.15)


def test_a_law_of_the_loss_survives_json():
    n, d, loss = chinchilla(0, k=40)
    law = fit_loss(n, d, loss=loss, n_bootstraps=4)
    again = LossLaw.from_dict(json.loads(json.dumps(law.to_dict())))
    assert again.quantiles(1e9, 1e11, levels=(0.1,)) == law.quantiles(1e9, 1e11, levels=(0.1,))


def test_diverged_losses_are_left_out_and_named():
    n, d, loss = chinchilla(0, k=60)
    loss[:3] = [np.nan, np.inf, np.nan]
    law = fit_loss(n, d, loss=loss)
    assert [caution.name for caution in law.cautions] == ["diverged_runs"]
    assert law.e == fit_loss(n[3:], d[3:], loss=loss[3:]).e


def test_an_exponent_that_the_losses_leave_open_is_named():
    n, d, loss = chinchilla(0, k=60, noise=0.02)
    n = 1e9 * np.exp(np.random.default_rng(0).normal(0, 0.01, 60))
    loss = BESIROGLU(n, d) * np.exp(np.random.default_rng(1).normal(0, 0.02, 60))
    law = fit_loss(n, d, loss=loss, n_bootstraps=50)
    assert "unidentified" in [caution.name for caution in law.cautions]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"loss": [3.0, -1.0, 2.0, 2.0, 2.0]}, "1 losses are not above 0, the first -1"),
        ({"n": [1e8] * 5}, "all losses have one n"),
        ({"d": [1e9, 2e9]}, "d has 2 values and there are 5 losses"),
        ({"loss": [3.0, np.nan, 2.0, 2.0, 2.0]}, "5 coefficients was asked of 4 finite losses"),
        ({"n": [0.0, 1e8, 1e8, 1e9, 1e9]}, "n has values that are not finite and above 0"),
    ],
)
def test_losses_that_cannot_carry_a_law_are_refused(change, match):
    good = {"n": [1e8, 1e8, 2e8, 4e8, 4e8], "d": [1e9, 2e9, 4e9, 1e9, 8e9], "loss": [3.0] * 5}
    given = good | change
    with pytest.raises(ValueError, match=match):
        fit_loss(given["n"], given["d"], loss=given["loss"])
