"""What running trials count as in the score of new points."""

import numpy as np
import pytest

from tunekit.samplers.bayesian.acquisition import ExpectedImprovement
from tunekit.samplers.bayesian.models import model_of
from tunekit.samplers.bayesian.training_data import TrialRows, observed
from tunekit.spaces import Float, Space
from tunekit.spaces.encode import Encoder
from tunekit.testing.samplers import TREE, random_trials, view_of

FLAT = Space(x=Float(0, 1), y=Float(0, 1), z=Float(0, 1))


def scores(space, rng_seed, n_pending=3):
    """Return the scores of rows beside pending ones, with the model and both kinds of rows."""
    view = view_of(space, random_trials(space, 15))
    rows = TrialRows(Encoder(space))
    model = model_of(view, observed(view, rows), rows)
    points = [t.params for t in random_trials(space, 40)][-20:]
    pending, x = rows.encoder.encode(points[:n_pending]), rows.encoder.encode(points)
    return model.score(pending, np.random.default_rng(rng_seed))(x), model, pending, x


def test_in_a_flat_space_a_running_trial_counts_with_its_predicted_result():
    found, model, pending, x = scores(FLAT, 1)
    told = model.gp.with_data(pending, model.gp.predict(pending)[0], noise=0.0)
    none, rng = pending[:0], np.random.default_rng(2)
    assert found == pytest.approx(ExpectedImprovement(told, none, rng=rng)(x))
    assert np.all(found[:3] < found[3:].max()), "little is expected where a trial runs already"


def test_with_branches_a_running_trial_counts_with_draws_of_its_result():
    assert not np.array_equal(scores(TREE, 1)[0], scores(TREE, 2)[0])
    assert np.array_equal(scores(TREE, 1, 0)[0], scores(TREE, 2, 0)[0])


def test_running_trials_count_beside_more_trials_than_the_model_takes(monkeypatch):
    monkeypatch.setattr("tunekit.samplers.bayesian.fitting.MAX_FIT_ROWS", 8)
    monkeypatch.setattr("tunekit.samplers.bayesian.fitting.MAX_ROWS", 10)
    monkeypatch.setattr("tunekit.samplers.bayesian.models.MAX_ROWS", 10)
    found, model, pending, x = scores(FLAT, 1)
    assert len(model.gp.y) == 10
    told = model.gp.with_data(pending, model.gp.predict(pending)[0], noise=0.0)
    rng = np.random.default_rng(2)
    assert found == pytest.approx(ExpectedImprovement(told, pending[:0], rng=rng)(x))
