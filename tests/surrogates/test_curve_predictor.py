"""The curve predictor: what it learns, how honest its intervals are, and what it does with NaN."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

from tunekit_surrogates.curves.conformal import Residuals
from tunekit_surrogates.curves.features import carried
from tunekit_surrogates.curves.parametric import extrapolated
from tunekit_surrogates.curves.predictor import Completed, CurvePredictor
from tunekit_surrogates.curves.regressors import forest
from tunekit_surrogates.curves.scale import Scale

T, SEEN = 30, 6


def runs(n, seed=0, noise=0.01, shift=0.0):
    """Curves whose final value depends on a parameter that the first reports do not show."""
    rng = np.random.default_rng(seed)
    x = rng.random((n, 2))
    steps = np.arange(1, T + 1) / T
    drop = 0.5 * (x[:, :1] > 0.5) * np.clip(steps - 0.3, 0.0, None)
    curves = shift + 1 + x[:, 1:] * 0.1 + 0.3 * np.exp(-4 * steps) - drop
    curves = curves + noise * rng.normal(size=(n, T))
    return Completed(curves, curves[:, -1].copy(), x)


def fitted(n=60, **options):
    return CurvePredictor(runs(n, **options))


def test_it_beats_the_last_value_where_a_parameter_decides_later():
    test = runs(200, seed=1)
    forecast = fitted().forecast(test.curves[:, :SEEN], test.x)
    error = np.abs(forecast.centre - test.finals).mean()
    assert error < 0.3 * np.abs(test.curves[:, SEEN - 1] - test.finals).mean()
    assert forecast.n_curves == 60 and "trees" in forecast.model


@pytest.mark.parametrize("n", [30, 60])
def test_intervals_hold_what_they_say_on_unseen_runs(n):
    inside = []
    for seed in range(5):
        test = runs(200, seed=100 + seed, noise=0.03)
        f = fitted(n, seed=seed, noise=0.03).forecast(test.curves[:, :SEEN], test.x)
        inside.append((f.quantile(0.05) <= test.finals) & (test.finals <= f.quantile(0.95)))
    assert 0.85 < np.mean(inside) < 0.96


def test_chances_and_quantiles_are_the_same_distribution():
    test = runs(5, seed=1)
    f = fitted().forecast(test.curves[:, :SEEN], test.x)
    for chance in (0.05, 0.3, 0.8):
        for k in range(5):
            assert f.below(f.quantile(chance)[k])[k] == pytest.approx(chance, abs=0.01)
    assert (f.sd > 0).all()


@pytest.mark.parametrize("n", [4, 60])
def test_a_run_better_than_all_known_ones_is_predicted_where_it_is(n):
    whole = runs(n)
    best = whole.finals.min()
    head = np.full((1, SEEN), best - 0.4) + 1e-3 * np.arange(SEEN, 0, -1)
    f = CurvePredictor(whole).forecast(head, whole.x[:1])
    assert f.centre[0] < best - 0.3 and f.below(best)[0] > 0.8


def test_a_run_whose_last_report_is_not_finite_is_lost():
    predictor = fitted()
    test = runs(2, seed=1)
    heads = test.curves[:, :SEEN].copy()
    heads[0, -1] = np.inf
    f = predictor.forecast(heads, test.x)
    assert np.isinf(f.centre[0]) and f.below(9.0)[0] == 0.0 and f.diverging[0] == 1.0
    assert np.isfinite(f.centre[1])


def test_what_diverged_late_is_a_chance_and_moves_no_prediction_of_the_others():
    whole = runs(60)
    finals = whole.finals.copy()
    finals[:6] = np.inf
    f = CurvePredictor(Completed(whole.curves, finals, whole.x)).forecast(
        whole.curves[:3, :SEEN], whole.x[:3]
    )
    assert f.diverging == pytest.approx(np.full(3, 6.25 / 61))
    assert np.isinf(f.quantile(0.95)).all() and np.isfinite(f.centre).all()
    assert f.below(1e9) == pytest.approx(1 - f.diverging, abs=1e-3)


def test_losses_of_1e34_do_not_move_the_others():
    whole = runs(60)
    curves, finals = whole.curves.copy(), whole.finals.copy()
    curves[:4, 3:], finals[:4] = 1e34, 3e34
    test = runs(50, seed=1)
    f = CurvePredictor(Completed(curves, finals, whole.x)).forecast(test.curves[:, :SEEN], test.x)
    assert np.abs(f.centre - test.finals).mean() < 0.1


def test_runs_of_different_length_count_up_to_their_own_end():
    whole = runs(60)
    curves = whole.curves.copy()
    curves[:30, 20:] = np.nan  # these ended at report 20
    finals = np.where(np.arange(60) < 30, curves[:, 19], whole.finals)
    predictor = CurvePredictor(Completed(curves, finals, whole.x))
    assert predictor.forecast(curves[:1, :20], whole.x[:1]).n_curves == 60
    assert predictor.forecast(whole.curves[:1, :21], whole.x[:1]).n_curves == 30


def test_a_missing_report_takes_the_value_before_it():
    nan = np.nan
    rows = np.array([[1.0, nan, 3.0], [nan, 2.0, nan], [nan, nan, nan]])
    expected = [[1.0, 1.0, 3.0], [2.0, 2.0, 2.0], [nan, nan, nan]]
    np.testing.assert_array_equal(carried(rows), expected)


def test_of_few_runs_the_last_value_is_said_and_why():
    test = runs(100, seed=1)
    assert fitted(2).forecast(test.curves[:, :SEEN], test.x) is None
    for n in (8, 29):
        few = fitted(n).forecast(test.curves[:, :SEEN], test.x)
        assert (few.model, few.fallback) == ("last value", "fewer than 30 complete curves")
        assert few.centre == pytest.approx(test.curves[:, SEEN - 1])
        assert few.quantile(0.95)[0] - few.quantile(0.05)[0] > 0.05
    enough = fitted(30).forecast(test.curves[:, :SEEN], test.x)
    assert enough.fallback == "" and "trees" in enough.model


def test_smooth_curves_are_extrapolated_from_few_runs_where_that_is_clearly_better():
    rng = np.random.default_rng(0)
    start, end, slowness = rng.uniform(1, 3, 12), rng.uniform(0, 1, 12), rng.uniform(3, 20, 12)
    steps = np.arange(T)[None]
    curves = end[:, None] + (start - end)[:, None] * np.exp(-steps / slowness[:, None])
    known = Completed(curves[:8], curves[:8, -1].copy(), np.zeros((8, 0)))
    f = CurvePredictor(known).forecast(curves[8:, :15], np.zeros((4, 0)))
    assert (f.model, f.fallback) == ("parametric", "")
    errors = [np.abs(v - curves[8:, -1]).mean() for v in (f.centre, curves[8:, 14])]
    assert errors[0] < 0.1 * errors[1]


def test_where_no_model_is_better_on_held_out_runs_the_last_value_is_said():
    rng = np.random.default_rng(0)
    walks = np.cumsum(rng.normal(size=(200, T)), axis=1)  # whose past tells nothing of the rest
    known = Completed(walks[:60], walks[:60, -1].copy(), rng.random((60, 3)))
    f = CurvePredictor(known).forecast(walks[60:, :SEEN], rng.random((140, 3)))
    assert f.model == "last value"
    assert f.fallback == "no model predicts held-out curves better"
    assert f.centre == pytest.approx(walks[60:, SEEN - 1])


def test_a_further_metric_that_tells_of_the_end_is_read_where_it_is_reported():
    rng = np.random.default_rng(0)
    hidden = rng.random(200)
    steps = np.arange(1, T + 1) / T
    drop = 0.5 * hidden[:, None] * np.clip(steps - 0.3, 0.0, None)
    curves = 1 + 0.05 * rng.normal(size=(200, T)) - drop
    noise = rng.normal(size=(2, 200, T))
    others = np.stack([hidden[:, None] + 0.1 * noise[0], noise[1]])
    x = np.zeros((200, 0))
    known = Completed(curves[:60], curves[:60, -1].copy(), x[:60], others[:, :60])
    predictor, heads = CurvePredictor(known), curves[60:, :SEEN]
    with_it = predictor.forecast(heads, x[60:], others=others[:, 60:, :SEEN])
    without = predictor.forecast(heads, x[60:])
    truth = curves[60:, -1]
    taus = [kendalltau(f.centre, truth).statistic for f in (with_it, without)]
    assert taus[0] > taus[1] + 0.2
    nothing = predictor.forecast(heads, x[60:], others=np.full((2, 140, SEEN), np.nan))
    assert np.isfinite(nothing.centre).all()


def test_earlier_runs_are_used_where_they_help_and_only_there():
    own, test = runs(6, seed=3), runs(100, seed=1)
    same = runs(100, seed=5, shift=7.0)
    alone = CurvePredictor(own).forecast(test.curves[:, :SEEN], test.x)
    with_past = CurvePredictor(own, past=(same,)).forecast(test.curves[:, :SEEN], test.x)
    assert with_past.with_past and not alone.with_past
    errors = [np.abs(f.centre - test.finals).mean() for f in (with_past, alone)]
    assert errors[0] < errors[1]
    unlike = Completed(same.curves, np.random.default_rng(0).permutation(same.finals), same.x)
    predictor = CurvePredictor(runs(40, seed=3), past=(unlike,))
    assert not predictor.forecast(test.curves[:, :SEEN], test.x).with_past


def test_arrays_that_do_not_fit_are_refused():
    whole = runs(5)
    with pytest.raises(ValueError, match="the same number of rows"):
        CurvePredictor(Completed(whole.curves, whole.finals[:3], whole.x))
    with pytest.raises(ValueError, match="expected the columns"):
        CurvePredictor(whole, past=(Completed(whole.curves, whole.finals, whole.x[:, :1]),))


def test_the_scale_grows_and_goes_back():
    rng = np.random.default_rng(0)
    finals = np.concatenate([rng.normal(0.7, 1e-3, 80), rng.uniform(0.3, 0.6, 10), [1e30] * 3])
    scale = Scale.fit(finals, finals)
    values = np.array([-1e5, 0.1, 0.35, 0.69, 0.7, 0.701, 5.0, 1e20, 1e34])
    mapped = scale.to(values)
    assert (np.diff(mapped) > 0).all()
    assert scale.back(mapped) == pytest.approx(values, rel=1e-6)


def test_the_table_of_nodes_predicts_as_the_forest_does():
    rng = np.random.default_rng(0)
    x, new = rng.random((80, 4)), rng.random((30, 4))
    y = np.sin(6 * x[:, 0]) + x[:, 1]
    from sklearn.ensemble import ExtraTreesRegressor

    options = {"min_samples_leaf": 2, "max_features": 0.5, "bootstrap": True, "random_state": 3}
    peer = ExtraTreesRegressor(64, **options).fit(x, y)
    assert forest(x, y, seed=3).predict(new) == pytest.approx(peer.predict(new), abs=1e-12)


@pytest.mark.parametrize(
    "curve",
    [
        lambda t: 0.3 + 0.7 * t**-0.75,
        lambda t: 0.2 + np.exp(-0.15 * t),
        lambda t: 1 / (1 + (t / 10) ** 2),
    ],
)
def test_the_families_find_the_end_of_their_own_curves(curve):
    t = np.arange(1.0, 41.0)
    ends = extrapolated(curve(t[:20])[None], 40)
    # The families are averaged, so that a stranger among them leaves some error.
    assert abs(ends[0] - curve(40.0)) < 0.8 * abs(curve(20.0) - curve(40.0))


def test_residuals_are_wide_where_rows_are_difficult():
    rng = np.random.default_rng(0)
    difficulty = rng.uniform(0.01, 1.0, (300, 1))
    residuals = difficulty[:, 0] * rng.normal(size=300)
    found = Residuals.fit(residuals, difficulty)
    easy, hard = found.sizes(np.array([[0.02], [0.9]]))
    assert hard > 4 * easy
    assert found.below(np.zeros(1), np.array([hard]))[0] == pytest.approx(0.5, abs=0.1)
