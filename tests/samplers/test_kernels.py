"""Which kernel a study gets: in flat spaces two take turns, then what the trials speak for."""

from __future__ import annotations

import numpy as np
import pytest

from tunekit.records import TrialRecord, TrialState
from tunekit.samplers.bayesian.kernel_choice import EVERY, fit_chosen, kernels_of
from tunekit.spaces import Categorical, Float, Space
from tunekit.spaces.encode import Encoder

FLAT = Encoder(Space({f"x{i}": Float(0.0, 1.0) for i in range(8)}))
TREE = Encoder(
    Space(go=Categorical({"a": Space(u=Float(0.0, 1.0), v=Float(0.0, 1.0)), "b": None}))
)


def rows(n, seed=0):
    return np.random.default_rng(seed).random((n, 8))


def standard(y):
    return (y - y.mean()) / y.std()


def bumps(x):
    """Return a sum of functions of one parameter each."""
    return standard(np.sin(9.0 * x).sum(axis=1))


def product(x):
    """Return what no sum of functions of one parameter comes near to."""
    return standard(np.prod(x[:, :2] - 0.5, axis=1))


def trials(evidence):
    return [
        TrialRecord(k, TrialState.COMPLETE, evidence=found) for k, found in enumerate(evidence)
    ]


@pytest.mark.parametrize(
    ("encoder", "expected"),
    [(FLAT, ["blocks", "trend", "blocks", "trend"]), (TREE, ["blocks"] * 4)],
)
def test_before_there_is_evidence_two_kernels_take_turns_in_a_flat_space(encoder, expected):
    names, stored = [], []
    for n in range(6, 10):
        x = rows(n)[:, : len(encoder)]
        known = trials([*[{}] * (n - len(stored)), *stored])
        fit = fit_chosen(encoder, x, standard(x.sum(axis=1)), known)
        assert fit.compared_at == 0
        names.append(fit.kernel)
        stored.append(fit.evidence())
    assert names == expected


def test_trials_of_a_sum_of_single_effects_speak_for_the_additive_kernel():
    x = rows(60)
    assert fit_chosen(FLAT, x, bumps(x), []).kernel == "additive"


def test_trials_of_an_interaction_do_not():
    x = rows(60)
    assert fit_chosen(FLAT, x, product(x), []).kernel != "additive"


def test_the_kernel_that_was_chosen_predicts_better_than_the_one_that_was_not():
    x, new = rows(60), rows(200, seed=1)
    y = np.sin(9.0 * x).sum(axis=1)
    truth = (np.sin(9.0 * new).sum(axis=1) - y.mean()) / y.std()
    chosen = fit_chosen(FLAT, x, standard(y), [])
    first = fit_chosen(FLAT, x, standard(y), trials([{"kernel": "trend", "compared_at": 60}]))
    assert (chosen.kernel, first.kernel) == ("additive", "trend")
    error = [np.mean((fit.gp.predict(new)[0] - truth) ** 2) for fit in (chosen, first)]
    assert error[0] < 0.8 * error[1]


@pytest.mark.parametrize("later", [0, EVERY - 1])
def test_a_choice_holds_until_the_next_comparison(later):
    x = rows(60)
    known = trials([{"kernel": "blocks", "compared_at": 60 - later}])
    fit = fit_chosen(FLAT, x, bumps(x), known)
    assert (fit.kernel, fit.compared_at) == ("blocks", 60 - later)


def test_the_next_comparison_may_choose_otherwise():
    x = rows(60)
    fit = fit_chosen(FLAT, x, bumps(x), trials([{"kernel": "blocks", "compared_at": 60 - EVERY}]))
    assert (fit.kernel, fit.compared_at) == ("additive", 60)


def test_a_fit_starts_where_the_stored_one_of_the_same_kernel_ended():
    x = rows(40)
    y = bumps(x)
    first = fit_chosen(FLAT, x, y, [])
    again = fit_chosen(FLAT, x, y, trials([first.evidence()]))
    assert again.kernel == first.kernel
    at, theta = first.evidence()["at"], first.evidence()["theta"]
    stored = again.gp.parameters.to_array()[at]
    np.testing.assert_allclose(stored, theta, atol=0.3)


@pytest.mark.parametrize("evidence", [{"kernel": "magic", "compared_at": 60}, {"kernel": 3}, {}])
def test_a_stored_choice_that_is_none_is_passed_over(evidence):
    x = rows(30)
    assert fit_chosen(FLAT, x, bumps(x), trials([evidence])).compared_at == 30


def test_additive_blocks_keep_the_variance_of_the_whole():
    structure = kernels_of(TREE)["additive"]
    assert structure.columns == ((0,), (1, 2), (1,), (2,))
    assert structure.parents == (-1, 0, 0, 0)
    assert np.exp(structure.shares)[1:].sum() == pytest.approx(1.0)


def test_many_trials_keep_their_parameters_until_they_have_grown_by_a_part():
    x = rows(100)
    y = bumps(x)
    before = fit_chosen(FLAT, x[:96], y[:96], [])
    known = trials([before.evidence()])
    kept, grown = fit_chosen(FLAT, x[:98], y[:98], known), fit_chosen(FLAT, x[:99], y[:99], known)
    assert (before.fitted_at, kept.fitted_at, grown.fitted_at) == (96, 96, 99)
    close = before.gp.parameters.to_array()
    assert kept.gp.parameters.to_array() == pytest.approx(close, abs=6e-3)
    assert len(kept.gp.y) == 98, "what is new is known all the same"
