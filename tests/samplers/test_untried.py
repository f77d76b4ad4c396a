"""Every choice of a switch gets a trial once its switch has been active often enough."""

from __future__ import annotations

import numpy as np

from tunekit.records import Outcome, Proposal, TrialState
from tunekit.samplers.bayesian.sampler import BayesianSampler
from tunekit.samplers.bayesian.untried import EVERY, is_possible, untried_choice
from tunekit.spaces import Categorical, Float, Params, Space
from tunekit.testing.samplers import ended, view_of

UNIT = Float(0.0, 1.0)
KERNEL = Categorical(
    {"rbf": Space(gamma=UNIT), "poly": Space(gamma=UNIT, coef=UNIT), "linear": None}
)
SPACE = Space(
    model=Categorical({"forest": Space(depth=UNIT), "svm": Space(C=UNIT, kernel=KERNEL)})
)


def point(kernel=None, **more):
    if kernel is None:
        return SPACE.complete({"model": "forest"})
    return SPACE.complete({"model": "svm", "model.svm.kernel": kernel, **more})


def test_a_switch_is_due_once_it_was_active_as_often_as_it_has_choices():
    few = [point(), point("rbf"), point("poly")]
    assert untried_choice(SPACE, few) is None
    due = untried_choice(SPACE, [*few, point("rbf")])
    assert due == Params({"model": "svm", "model.svm.kernel": "linear"})
    assert untried_choice(SPACE, [*few, point("linear")]) is None


def test_a_choice_that_the_constraints_exclude_is_left_out():
    tight = Space(a=Categorical({"x": Space(u=UNIT), "y": None}), b=[1, 2], constraints=["b < 2"])
    rng = np.random.default_rng(0)
    assert is_possible(tight, Params({"a": "y"}), rng)
    assert not is_possible(tight, Params({"b": 2}), rng)
    assert is_possible(SPACE, Params({"model": "svm"}), rng)


def without_linear():
    """Return trials in which two kernels do equally well, and the third was never tried."""
    points = [point("rbf"), point("poly"), *3 * [point()]]
    points += [point("rbf", **{"model.svm.C": c}) for c in (0.6, 0.7, 0.8)]
    points += [point("poly", **{"model.svm.C": c}) for c in (0.62, 0.72, 0.82)]
    trials = []
    for number, params in enumerate(points):
        loss = 1.0 if params["model"] == "forest" else (params["model.svm.C"] - 0.75) ** 2
        outcome = Outcome(TrialState.COMPLETE, metrics={"loss": loss})
        trials.append(ended(number, Proposal(params, "x"), outcome))
    return trials


def test_a_choice_without_children_is_tried_beside_two_that_seem_equal():
    view = view_of(SPACE, without_linear())
    (proposal,) = BayesianSampler().suggest(view, [4 * EVERY])
    assert proposal.params["model.svm.kernel"] == "linear"
    assert "no trial has had model.svm.kernel = 'linear' yet" in proposal.reason
    (other,) = BayesianSampler().suggest(view, [4 * EVERY + 1])
    assert other.params.get("model.svm.kernel") != "linear", "what the model thinks of it"


def test_of_several_trials_at_once_one_goes_to_the_choice():
    view = view_of(SPACE, without_linear())
    found = BayesianSampler().suggest(view, range(4 * EVERY, 6 * EVERY))
    assert sum("untried" in p.evidence for p in found) == 1
