"""The studies of the other tests are valid points of their space, the same at each making."""

from tunekit.spaces.validate import validated
from tunekit.testing.studies import SPACE, TrialMix, error_of, made_trials


def test_made_trials_are_points_of_the_space_in_every_branch() -> None:
    trials = [t for t, _ in made_trials(TrialMix(60))]
    for trial in trials:
        assert validated(trial.params, SPACE) == trial.params
        assert 0.1 <= error_of(trial.params) < 0.6
    assert {t.params["model"] for t in trials} == {"svm", "forest", "net"}
    assert trials == [t for t, _ in made_trials(TrialMix(60))]
