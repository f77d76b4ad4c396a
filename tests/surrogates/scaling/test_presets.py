"""Published laws against the values that their sources state."""

from __future__ import annotations

import pytest

from tunekit_surrogates.scaling import PRESETS


def test_step_law_gives_its_published_learning_rate_and_batch_for_7b():
    preset = PRESETS["step_law"]
    assert preset.lr(7e9, 1.4e12) == pytest.approx(9.4e-4, rel=0.03)
    assert preset.bs(7e9, 1.4e12) == pytest.approx(5.0e6, rel=0.01)


def test_hoffmann_gives_the_loss_of_chinchilla():
    assert PRESETS["hoffmann"].loss(70e9, 1.4e12) == pytest.approx(1.94, abs=0.005)


def test_besiroglu_puts_the_best_split_of_chinchilla_compute_near_20_tokens_a_parameter():
    loss = PRESETS["besiroglu"].loss
    compute = 5.76e23
    ratios = range(10, 41)
    best = min(ratios, key=lambda r: loss((compute / 6 / r) ** 0.5, (compute / 6 * r) ** 0.5))
    assert best == pytest.approx(20, abs=3)
    assert loss(1e15, 1e18) == pytest.approx(1.8172, abs=0.01)


def test_deepseek_gives_the_settings_of_its_7b_model():
    preset, d = PRESETS["deepseek"], 2e12
    n = 8.7e22 / 6 / d
    assert preset.lr(n, d) == pytest.approx(4.2e-4, rel=0.02)
    assert preset.bs(n, d) == pytest.approx(2304 * 4096, rel=0.02)


def test_kaplan_gives_its_learning_rate_loss_and_critical_batch():
    preset = PRESETS["kaplan"]
    assert preset.lr(1.5e9, 1e10) == pytest.approx(2.9e-4, rel=0.02)
    assert preset.bs.at_loss(3.0) == pytest.approx(1.07e6, rel=0.01)
    assert preset.loss(1e9, 1e18) == pytest.approx((6.4e13 / 1e9) ** 0.076, rel=1e-3)
    with pytest.raises(ValueError, match="meant for smaller models"):
        preset.lr(1e11, 1e12)


def test_minicpm_gives_the_batch_of_4_million_tokens_at_a_loss_of_2_5():
    assert PRESETS["minicpm"].bs.at_loss(2.5) == pytest.approx(3.98e6, rel=0.01)


def test_power_lines_gives_time_scale_batch_and_weight_decay():
    preset = PRESETS["power_lines"]
    n, d = 111e6, 20 * 111e6
    assert preset.tau(n, d) == pytest.approx(0.2236, rel=0.001)
    assert preset.bs(n, d) / 2048 == pytest.approx(116, rel=0.01)
    wd = preset.wd(n, d, lr=1e-2, bs=192 * 2048)
    assert wd == pytest.approx(192 * 2048 / (1e-2 * d * 0.2236), rel=0.001)


def test_mup_divides_the_learning_rate_by_the_width():
    anchored = PRESETS["mup"].anchored(1e8, 2e9, lr=4e-3, bs=2**18)
    assert anchored.lr(1e8, 2e9) == pytest.approx(4e-3)
    assert anchored.lr(16e8, 2e9) == pytest.approx(1e-3)
    assert anchored.bs(16e8, 2e11) == pytest.approx(2**18)


@pytest.mark.parametrize("name", ["step_law", "deepseek", "kaplan", "mup"])
def test_a_preset_predicts_as_a_law_what_it_states(name):
    preset = PRESETS[name]
    at = preset.law(1e9, 2e10).predict(1e9, 2e10)
    assert at.lr.median == pytest.approx(preset.lr(1e9, 2e10))
    assert at.bs.median == pytest.approx(preset.bs(1e9, 2e10))


def test_a_preset_as_a_prior_has_its_exponents():
    priors = PRESETS["step_law"].priors(1e9, 2e10, sd=0.05)
    assert (priors.lr_n.mean, priors.lr_n.sd) == (pytest.approx(-0.713), 0.05)
    assert (priors.bs_n.mean, priors.bs_d.mean) == (
        pytest.approx(0.0, abs=1e-9),
        pytest.approx(0.571),
    )
    assert PRESETS["power_lines"].priors(1e9, 2e10).tau_ratio.mean == pytest.approx(-0.527)


def test_a_preset_without_a_learning_rate_says_which_have_one():
    with pytest.raises(ValueError, match=r"no law of the learning rate; those with one are step"):
        PRESETS["hoffmann"].law(1e9, 2e10)


def test_every_preset_names_source_and_units():
    for name, preset in PRESETS.items():
        assert preset.name == name and preset.source and preset.units
