"""Real scikit-learn pipelines as problems."""

import pickle
import warnings

import numpy as np
import pytest

from tunekit.bench import cash_pipeline
from tunekit.bench.suites import suite
from tunekit.samplers.base import sample

pytest.importorskip("sklearn")


def test_there_are_four_problems_whose_data_the_seed_draws():
    from tunekit.bench.cash import _data

    problems = suite("cash", seed=1)
    assert [p.name for p in problems] == [
        "cash/noisy-1",
        "cash/madelon-1",
        "cash/cancer-1",
        "cash/friedman-1",
    ]
    for name in ("noisy", "madelon", "cancer", "friedman"):
        one, other = _data(name, 1), _data(name, 2)
        assert np.isfinite(one[0]).all()
        assert not np.array_equal(one[0], other[0])


@pytest.mark.parametrize("problem", suite("cash"), ids=lambda p: p.name)
def test_random_pipelines_have_errors_that_differ_and_repeat_exactly(problem):
    rng = np.random.default_rng(3)
    points = [sample(problem.space, rng) for _ in range(6)]
    values = [problem.evaluate(point) for point in points]
    assert np.isfinite(values).all() and min(values) >= 0
    assert len(set(values)) > 2
    assert pickle.loads(pickle.dumps(problem)).evaluate(points[0]) == values[0]


@pytest.mark.parametrize("is_regression", [False, True])
def test_every_branch_of_the_space_builds_a_pipeline_that_can_be_fitted(is_regression):
    space = cash_pipeline.space(5, is_regression=is_regression)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 5))
    y = x[:, 0] if is_regression else (x[:, 0] > 0).astype(int)
    wanted = {(p.path, c) for p in space for c in getattr(p.domain, "choices", ())}
    seen = set()
    for _ in range(400):
        point = sample(space, rng)
        new = set(point.items()) & wanted - seen
        if not new:
            continue
        seen |= new
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pipeline = cash_pipeline.make_pipeline(point.nested(), is_regression=is_regression)
            assert np.isfinite(pipeline.fit(x, y).score(x, y))
    assert seen == wanted


@pytest.mark.parametrize("problem", suite("cash"), ids=lambda p: p.name)
def test_the_default_pipeline_is_fair_but_not_the_best(problem):
    default = problem.evaluate(problem.space.validate(problem.space.default()))
    rng = np.random.default_rng(0)
    values = [problem.evaluate(sample(problem.space, rng)) for _ in range(12)]
    assert min(values) < default < np.quantile(values, 0.75)


def test_a_pipeline_that_cannot_be_fitted_raises():
    problem = suite("cash")[0]
    point = problem.space.complete({"features": "best"})
    point["features.best.k"] = -1
    with pytest.raises(ValueError, match="k"):
        problem.evaluate(point)
