"""What a sampler proposes is checked wherever it is asked, before it is stored or run."""

import pytest

import tunekit as tk
from tunekit.errors import InvalidParams
from tunekit.records import Proposal
from tunekit.samplers.checked import UNKNOWN_SPACE
from tunekit.spaces import Float, Params, Space
from tunekit.studies.study import Study

SPACE = Space(x=Float(0, 1), on=bool, constraints=["x <= 0.9"])
GOOD = {"x": 0.5, "on": True}


class Own:
    """A sampler of somebody else's."""

    name = "own"

    def __init__(self, params):
        self.params = params

    def suggest(self, view, numbers):
        return [Proposal(Params(self.params), self.name) for _ in numbers]


class Short(Own):
    def suggest(self, view, numbers):
        return []


class Foreign(Own):
    def suggest(self, view, numbers):
        return [self.params for _ in numbers]


BAD = [
    Own({**GOOD, "x": 99}),
    Own({**GOOD, "x": float("nan")}),
    Own({**GOOD, "x": "0.5"}),
    Own({**GOOD, "on": 1}),
    Own({"x": 0.5}),
    Own({**GOOD, "y": 1}),
    Own({**GOOD, "x": 0.95}),
    Short(GOOD),
    Foreign(GOOD),
]


def optimized(study):
    study.optimize(lambda trial: trial.params["x"], n_trials=2)


def shared(study):
    run = tk.share(1)
    run.add(study, lambda trial: trial.params["x"], n_trials=2)
    run.run()
    raise run.errors[study.name]


@pytest.mark.parametrize("sampler", BAD)
@pytest.mark.parametrize("path", [optimized, Study.ask, shared])
def test_a_proposal_that_is_no_point_is_refused_before_it_is_stored(sampler, path):
    study = tk.study(space=SPACE, sampler=sampler)
    with pytest.raises(InvalidParams, match="the sampler 'own'"):
        path(study)
    assert all(t.params is None for t in study.trials)


def test_a_proposal_is_stored_in_canonical_form():
    study = tk.study(space=SPACE, sampler=Own({"on": True, "x": 0}))
    study.optimize(lambda trial: trial.params["x"], n_trials=1)
    params = study.trials[0].params
    assert list(params.items()) == [("x", 0.0), ("on", True)] and type(params["x"]) is float


def test_a_sampler_that_does_not_keep_what_is_enqueued_is_refused():
    study = tk.study(space=SPACE, sampler=Own(GOOD))
    study.enqueue_trial({"x": 0.25})
    with pytest.raises(InvalidParams, match="make it keep fixed values"):
        study.ask()


def test_a_sampler_that_leaves_an_enqueued_value_without_a_place_is_refused():
    space = Space(model=tk.Categorical({"svm": {"C": Float(0, 1)}, "rf": None}))
    study = tk.study(space=space, sampler=Own({"model": "rf"}))
    study.enqueue_trial({"C": 0.25})
    with pytest.raises(InvalidParams, match=r'"model.svm.C" is fixed at 0.25'):
        study.ask()


def test_a_replay_checks_what_the_sampler_answers_now():
    study = tk.study(space=SPACE, sampler=Own(GOOD))
    study.optimize(lambda trial: trial.params["x"], n_trials=1)
    assert study.replay() == []
    study.sampler.params = {**GOOD, "x": 99}
    with pytest.raises(InvalidParams, match="got 99"):
        study.replay()


@pytest.mark.parametrize("sampler", ["auto", "bayesian", "grid", "random", "evolution"])
def test_a_draw_of_the_program_is_not_credited_to_the_sampler(sampler):
    study = tk.study(sampler=sampler, seed=1)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    first, second = study.trials
    assert first.reason == UNKNOWN_SPACE
    assert first.sampler == {"auto": "bayesian"}.get(sampler, sampler)
    assert second.reason != UNKNOWN_SPACE
