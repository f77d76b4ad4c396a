"""Five classifiers on data made hard, where some choices have no parameters."""

import pickle

import numpy as np
import pytest

from tunekit.bench.suites import suite

pytest.importorskip("sklearn")

PROBLEMS = {p.name.split("/")[1]: p for p in suite("classifiers", seed=1)}
SPACE = PROBLEMS["wine-1"].space
WITHOUT_PARAMETERS = (
    {"model": "svm", "model.svm.kernel": "linear"},
    {"model": "discriminant", "model.discriminant.kind": "lda"},
    {"model": "discriminant", "model.discriminant.kind": "bayes"},
)


def error(name, point):
    return PROBLEMS[name].evaluate(SPACE.complete(point))


def test_there_are_six_data_sets_that_the_seed_draws():
    from tunekit.bench.classifiers import DATA, labelled

    assert len(PROBLEMS) == len(DATA) == 6
    for name in DATA:
        one, other = labelled(name, 1), labelled(name, 2)
        assert np.isfinite(one[0]).all() and len(one[0]) == len(one[1]) <= 220
        assert not np.array_equal(one[0], other[0])


def test_the_five_classifiers_have_three_choices_without_parameters():
    assert len(SPACE.by_path["model"].domain.choices) == 5
    for point in WITHOUT_PARAMETERS:
        *_, switch = point
        assert [path for path in SPACE.complete(point) if path.startswith(f"{switch}.")] == []


@pytest.mark.parametrize("name", PROBLEMS)
def test_no_data_set_is_solved_by_the_default_or_without_parameters(name):
    errors = [error(name, point) for point in ({}, *WITHOUT_PARAMETERS)]
    assert 0.1 < min(errors) < max(errors) < 0.8


@pytest.mark.parametrize(("name", "best"), [("diabetes-1", 0), ("shells-1", 2)])
def test_a_choice_without_parameters_beats_the_other_classifiers_at_their_defaults(name, best):
    others = [error(name, {"model": m}) for m in ("forest", "boosting", "neighbours")]
    assert error(name, WITHOUT_PARAMETERS[best]) < min(others)


def test_an_evaluation_repeats_exactly_and_survives_a_pickle():
    problem = PROBLEMS["interactions-1"]
    point = SPACE.complete({"model": "boosting", "scaler": "minmax"})
    assert problem.evaluate(point) == pickle.loads(pickle.dumps(problem)).evaluate(point)


def test_a_classifier_that_cannot_be_fitted_fails_its_trial():
    point = SPACE.complete({"model": "discriminant", "model.discriminant.kind": "qda"})
    with pytest.raises(ValueError, match="not full rank"):
        PROBLEMS["digits-1"].evaluate(point)
