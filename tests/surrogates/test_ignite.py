"""IGNITE: the gradient of the sharpness agrees with autograd, and the networks learn."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tunekit_surrogates.ignite import (  # noqa: E402
    Ignite,
    fit,
    forward,
    initial,
    sharpness_gradient,
)

SMALL = Ignite(sizes=(8,), n_networks=3, steps=60, epochs=1)


def tiny(n_networks=2, seed=0):
    rng = torch.Generator().manual_seed(seed)
    rules = Ignite(sizes=(4, 3), n_networks=n_networks)
    weights = [w.detach().double().requires_grad_(True) for w in initial(3, rules, rng)]
    x = torch.rand(n_networks, 6, 3, generator=rng, dtype=torch.float64)
    return weights, x


def test_the_gradient_of_the_sharpness_is_the_one_that_autograd_gives():
    weights, x = tiny()
    found, norms = sharpness_gradient(weights, x, rho=0.05, radius=1e-4)
    h = forward(weights, x).mean(dim=1)
    own = torch.autograd.grad(h.sum(), weights, create_graph=True)
    exact = torch.sqrt(sum((g * g).sum(dim=(1, 2)) for g in own))
    assert norms.detach().numpy() == pytest.approx(exact.detach().numpy(), rel=1e-9)
    for mine, theirs in zip(
        found, torch.autograd.grad(0.05 * exact.sum(), weights, allow_unused=True), strict=True
    ):
        wanted = torch.zeros_like(mine) if theirs is None else theirs
        assert mine.numpy() == pytest.approx(wanted.numpy(), rel=1e-2, abs=1e-5)


def test_networks_do_not_feel_each_other():
    weights, x = tiny()
    both, _ = sharpness_gradient(weights, x, rho=0.05, radius=0.05)
    one = [w[:1].detach().requires_grad_(True) for w in weights]
    alone, _ = sharpness_gradient(one, x[:1], rho=0.05, radius=0.05)
    for mine, theirs in zip(both, alone, strict=True):
        assert mine[:1].numpy() == pytest.approx(theirs.numpy(), abs=1e-12)


def test_the_multiplier_rises_while_the_networks_are_sharp_and_never_falls_below_zero():
    x = np.random.default_rng(0).random((60, 2))
    y = 10 * x[:, 0]
    assert np.all(fit(x, y, settings=SMALL).multipliers > SMALL.multiplier)
    dull = Ignite(sizes=(8,), n_networks=3, steps=60, epochs=1, threshold=10.0)
    assert np.all(fit(x, y, settings=dull).multipliers == 0.0)
    fixed = Ignite(sizes=(8,), n_networks=3, steps=20, epochs=1, is_fixed=True, multiplier=0.5)
    assert np.all(fit(x, y, settings=fixed).multipliers == 0.5)


def test_a_strong_constraint_makes_flatter_networks():
    x = np.random.default_rng(1).random((60, 2))
    y = np.sin(6 * x[:, 0])
    free = Ignite(sizes=(8,), n_networks=3, steps=150, epochs=1, multiplier=0.0, is_fixed=True)
    held = Ignite(sizes=(8,), n_networks=3, steps=150, epochs=1, multiplier=20.0, is_fixed=True)

    def norms(settings):
        weights = [w.clone().requires_grad_(True) for w in fit(x, y, settings=settings).weights]
        rows = torch.as_tensor(x, dtype=torch.float32).expand(3, -1, -1)
        return sharpness_gradient(weights, rows, rho=0.05, radius=0.05)[1].mean().item()

    assert norms(held) < norms(free)


def test_the_networks_learn_and_are_less_sure_outside_of_the_data():
    rng = np.random.default_rng(2)
    x = rng.random((200, 2)) * [0.5, 1.0]
    y = np.sin(4 * x[:, 0]) + x[:, 1]
    settings = Ignite(sizes=(16,), n_networks=4, steps=300, rate=0.01, epochs=1)
    ensemble = fit(x, y, settings=settings)
    inside, outside = rng.random((50, 2)) * [0.5, 1.0], rng.random((50, 2)) * [0.3, 1] + [0.7, 0]
    mean, sd = ensemble.predict(inside)
    error = np.sqrt(np.mean((mean - np.sin(4 * inside[:, 0]) - inside[:, 1]) ** 2))
    assert error < 0.3 * np.std(y)
    assert np.mean(ensemble.predict(outside)[1]) > 1.5 * np.mean(sd)
    assert ensemble.spread >= 1.0


def test_the_slope_of_the_cautious_value_is_its_difference():
    rng = np.random.default_rng(3)
    x = rng.random((80, 2))
    ensemble = fit(x, x[:, 0] ** 2, settings=SMALL)
    at, step = np.array([[0.3, 0.6]]), 1e-3
    value, slope = ensemble.cautious(at, caution=1.0)
    mean, sd = ensemble.predict(at)
    assert value == pytest.approx(mean + sd, rel=1e-5)
    for j in range(2):
        ahead, behind = at.copy(), at.copy()
        ahead[0, j] += step
        behind[0, j] -= step
        up, down = (ensemble.cautious(a, caution=1.0)[0][0] for a in (ahead, behind))
        assert (up - down) / (2 * step) == pytest.approx(slope[0, j], abs=2e-2)


def test_the_same_seed_gives_the_same_networks_and_equal_values_do_no_harm():
    x = np.random.default_rng(4).random((30, 2))
    one, two = (fit(x, x[:, 0], settings=SMALL, seed=5).predict(x)[0] for _ in range(2))
    assert np.array_equal(one, two)
    flat = fit(x, np.full(30, 3.0), settings=SMALL)
    assert flat.predict(x)[0] == pytest.approx(np.full(30, 3.0), abs=0.5)
