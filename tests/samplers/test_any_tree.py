"""Every sampler on trees that nobody thought of, with results that nobody hoped for."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunekit import registry
from tunekit.errors import InvalidSpace, SpaceExhausted
from tunekit.records import TrialState
from tunekit.spaces import Categorical, Float, Params, Space
from tunekit.testing.samplers import TREE, check, random_trials, view_of
from tunekit.testing.spaces import spaces

STATES = [TrialState.COMPLETE] * 3 + [TrialState.RUNNING, TrialState.FAILED, TrialState.DIVERGED]
LOSSES = st.sampled_from([0.0, 1.0, -2.5, 1e300, -1e300, 1e-300]) | st.floats(-10, 10)

# Optuna's process takes a second for each fit, and its own tests cover it; `proxy` needs a proxy,
# `llm` a model.
NAMES = [name for name in registry.names("sampler") if name not in ("gp", "proxy", "llm")]
FEW_DRAWS = {"botorch": {"n_draws": 16}}  # a fit of it takes a second, and so do 64 draws


def n_named(params):
    """Screen by the number of parameters."""
    return float(len(params))


BRED = {
    "genetic": ("evolution", {"start": 4}),
    "regularised": ("evolution", {"algorithm": "regularised", "start": 4, "population": 4}),
    "proxy": ("proxy", {"proxy": n_named, "options": {"start": 4}}),
}


def ended(trial, state, loss):
    bad = {TrialState.DIVERGED: {"loss": math.nan}, TrialState.COMPLETE: {"loss": loss}}
    return replace(trial, state=state, metrics=bad.get(state, {}))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_proposal_is_valid_or_the_reason_is_said(name, data):
    propose(data, lambda: registry.make("sampler", name, FEW_DRAWS.get(name, {})))


@pytest.mark.parametrize("case", BRED)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_child_is_valid_or_the_reason_is_said(case, data):
    name, options = BRED[case]
    propose(data, lambda: registry.make("sampler", name, options))


def propose(data, make):
    """Ask a sampler for two points of a random tree, nine of which have ended anyhow."""
    space = data.draw(spaces())
    try:
        trials = random_trials(space, 9)
    except InvalidSpace:  # no point satisfies its constraints
        trials = []
    ends = [ended(t, data.draw(st.sampled_from(STATES)), data.draw(LOSSES)) for t in trials]
    view = view_of(space, ends)
    try:
        check(view, [9, 10], make().suggest(view, [9, 10]))
    except (InvalidSpace, SpaceExhausted) as error:
        assert str(error)


@pytest.mark.parametrize(
    "losses",
    [[1.0], [0.0, 1e300], [1e300, -1e300, 0.0], [1e-300, 2e-300]],
    ids=["equal", "huge", "both ends", "tiny"],
)
def test_the_model_takes_any_finite_losses(losses):
    trials = random_trials(TREE, 20)
    view = view_of(
        TREE, [replace(t, metrics={"loss": losses[t.number % len(losses)]}) for t in trials]
    )
    check(view, [20], registry.make("sampler", "bayesian").suggest(view, [20]))


@pytest.mark.parametrize(
    "space",
    [
        Space({f"x{i}": Float(0, 1) for i in range(200)}),
        Space(c=Categorical(list(range(10_000))), x=Float(0, 1)),
    ],
    ids=["200 parameters", "10,000 choices"],
)
def test_the_model_takes_large_spaces(space):
    view = view_of(space, random_trials(space, 12))
    check(view, [12], registry.make("sampler", "bayesian").suggest(view, [12]))


def test_the_model_takes_a_thousand_pending_trials():
    trials = random_trials(TREE, 1020)
    running = [replace(t, state=TrialState.RUNNING, metrics={}) for t in trials[20:]]
    view = view_of(TREE, [*trials[:20], *running])
    check(view, [2000], registry.make("sampler", "bayesian").suggest(view, [2000]))


def test_the_model_says_that_nothing_is_feasible():
    space = Space(x=Float(0, 1), y=Float(0, 1), constraints=["x + y > 3"])
    with pytest.raises(InvalidSpace, match=r"can satisfy the constraint \"x \+ y > 3\""):
        registry.make("sampler", "bayesian").suggest(view_of(space), [0])


def test_the_model_avoids_what_fails():
    space = Space(x=Float(0, 1), y=Float(0, 1))
    points = random_trials(space, 40)
    trials = []
    for t in points:
        x = (t.params or Params())["x"]
        state = TrialState.FAILED if x > 0.5 else TrialState.COMPLETE
        trials.append(replace(t, state=state, metrics={} if x > 0.5 else {"loss": -x}))
    view = view_of(space, trials)
    found = [registry.make("sampler", "bayesian").suggest(view, [k])[0].params for k in (50, 51)]
    assert all(0.3 < p["x"] < 0.55 for p in found)
