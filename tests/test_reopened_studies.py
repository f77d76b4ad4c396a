"""A study that is opened again by its name alone goes on as it was made."""

from __future__ import annotations

import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument
from tunekit.samplers.bayesian.sampler import BayesianSampler
from tunekit.samplers.evolutionary.evolution import EvolutionSampler
from tunekit.samplers.random import RandomSampler
from tunekit.stoppers.asha import AshaStopper
from tunekit.stoppers.median import MedianStopper

SPACE = tk.Space(x=tk.Float(0, 1), y=tk.Float(0, 1))


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/again.db"


def test_the_sampler_and_its_options_are_the_studys_own(url):
    tk.study("s", space=SPACE, storage=url, sampler="evolution")
    assert isinstance(tk.study("s", storage=url).sampler, EvolutionSampler)
    tk.study("t", space=SPACE, storage=url, sampler_options={"budget": 2000})
    assert tk.study("t", storage=url).sampler.budget == 2000


def test_options_without_a_sampler_replace_some_of_the_studys_own(url):
    options = {"start": 9, "tournament": 5}
    tk.study("s", space=SPACE, storage=url, sampler="evolution", sampler_options=options)
    again = tk.study("s", storage=url, sampler_options={"start": 12}).sampler
    assert isinstance(again, EvolutionSampler)
    assert (again._start, again._tournament) == (12, 5)


def test_another_sampler_proposes_for_this_object_only(url):
    tk.study("s", space=SPACE, storage=url, sampler="evolution")
    assert isinstance(tk.study("s", storage=url, sampler="random").sampler, RandomSampler)
    assert isinstance(tk.study("s", storage=url).sampler, EvolutionSampler)


def test_the_stopper_and_the_audit_are_the_studys_own(url):
    options = {"stopper": "asha", "stopper_options": {"eta": 3}, "audit": 0.2}
    tk.study("s", space=SPACE, storage=url, **options)
    again = tk.study("s", storage=url)
    assert isinstance(again.stopper, AshaStopper)
    assert (again.stopper.eta, again.audit) == (3, 0.2)
    assert tk.study("s", storage=url, stopper=[]).stopper is None
    other = tk.study("s", storage=url, stopper="median", audit=0)
    assert isinstance(other.stopper, MedianStopper)
    assert other.audit == 0


def test_a_study_made_with_a_sampler_object_wants_it_again(url):
    class Mine(RandomSampler):
        name = "mine"

    tk.study("s", space=SPACE, storage=url, sampler=Mine())
    with pytest.raises(InvalidArgument, match="created with the sampler object Mine"):
        tk.study("s", storage=url)
    assert isinstance(tk.study("s", storage=url, sampler=Mine()).sampler, Mine)


def test_a_study_that_learnt_from_another_still_does(url):
    first = tk.study("first", space=SPACE, storage=url, sampler="random", seed=1)
    first.optimize(lambda trial: trial.params["x"], n_trials=3)
    tk.study("second", space=SPACE, storage=url, warm_start=["first"])
    again = tk.study("second", storage=url, warm_start=["first"])
    alone = tk.study("second", storage=url)
    assert isinstance(again.sampler, BayesianSampler)
    assert isinstance(alone.sampler, BayesianSampler)
    assert len(alone.record().spec.sampler_options["past"]) == 1


def test_a_repeated_run_of_the_command_line_keeps_the_studys_sampler(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from tunekit.cli.app import app

    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(
        "import tunekit as tk\n"
        "space = tk.Space(x=tk.Float(0, 1))\n"
        "def objective(trial):\n    return trial.params['x']\n"
    )
    words = ["run", "train.py:objective", "--space", "train.py:space", "-w", "1"]
    for more in (["-n", "1", "--sampler", "random"], ["-n", "2"]):
        result = CliRunner().invoke(app, [*words, *more], prog_name="tunekit")
        assert result.exit_code == 0, result.stderr
    trials = tk.load_study("train", storage="sqlite:///tunekit.db").trials
    assert [t.sampler for t in trials] == ["random", "random"]
