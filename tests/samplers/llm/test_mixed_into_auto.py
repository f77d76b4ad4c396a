"""`auto` chooses the sampler of all other trials; the language model keeps its limits."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument
from tunekit.history import History
from tunekit.records import ObjectiveSpec, TrialRecord, TrialState
from tunekit.samplers.bayesian.model_search import ModelSearch
from tunekit.samplers.llm.past_advice import hit_rates
from tunekit.samplers.llm.sampler import LLMSampler
from tunekit.samplers.random import RandomSampler
from tunekit.spaces import Params
from tunekit.testing.openai_server import RunningEndpoint, Said, running_endpoint

TREE = tk.Space(
    a=tk.Float(0.0, 1.0),
    model=tk.Categorical({"x": tk.Space(b=tk.Float(0.0, 1.0)), "y": None}),
)


def near(request: dict[str, Any]) -> Said:
    """Answer with points around the optimum, the same for the same prompt."""
    rng = random.Random(request["messages"][-1]["content"])
    points = [
        {"a": 0.7 + rng.uniform(-0.1, 0.1), "model": "x", "b": 0.2 + rng.uniform(-0.1, 0.1)}
        for _ in range(4)
    ]
    return Said(json.dumps({"rationale": "known", "points": points}))


@pytest.fixture
def endpoint() -> Iterator[RunningEndpoint]:
    with running_endpoint(near) as running:
        yield running


def loss(trial: Any) -> float:
    p = trial.params
    return (p["a"] - 0.7) ** 2 + ((p["b"] - 0.2) ** 2 if p["model"] == "x" else 0.3)


def two(trial: Any) -> dict[str, float]:
    return {"loss": loss(trial), "size": trial.params["a"]}


def llm_at(endpoint: RunningEndpoint, **more: Any) -> dict[str, Any]:
    return {"model": "m", "base": endpoint.base, "wait_s": 60.0, "timeout_s": 60.0, **more}


def mixed(
    endpoint: RunningEndpoint,
    objective: Callable[[Any], Any] = loss,
    n: int = 16,
    *,
    space: tk.Space = TREE,
    options: dict[str, Any] | None = None,
    **given: Any,
) -> tk.Study:
    study = tk.study(
        "s",
        space=space,
        sampler="auto",
        sampler_options={"llm": llm_at(endpoint), **(options or {})},
        seed=3,
        **given,
    )
    study.optimize(objective, n_trials=n)
    return study


def test_a_tree_is_searched_by_the_model_of_auto_and_by_the_language_model(
    endpoint: RunningEndpoint,
) -> None:
    study = mixed(endpoint)
    advised = [t for t in study.trials if t.sampler == "llm"]
    assert study.trials[0].params == TREE.default()
    assert {t.sampler for t in study.trials} == {"llm", "bayesian"}
    assert all(t.reason.startswith("auto: ") for t in study.trials)
    assert len([t for t in advised if t.number < 6]) == 3
    assert study.replay() == []


def test_the_front_of_several_objectives_takes_advice(endpoint: RunningEndpoint) -> None:
    both = {"loss": "minimize", "size": "minimize"}
    study = mixed(endpoint, two, objectives=both)
    assert sum(t.sampler == "llm" for t in study.trials) >= 3
    assert study.replay() == []
    assert study.llm_report().rows[0].hits >= 1


def test_limits_on_metrics_hold_for_advised_trials_too(endpoint: RunningEndpoint) -> None:
    study = mixed(endpoint, two, objectives="loss", constraints=["size <= 0.5"])
    advised = [t for t in study.trials if t.sampler == "llm"]
    assert advised
    assert all(t.metrics["size"] > 0.5 for t in advised)  # it does not know the limit ...
    assert study.best_trial.metrics["size"] <= 0.5
    assert study.llm_report().rows[0].hits == 0  # ... so none of its points is a hit
    assert study.replay() == []


def test_evolution_takes_advice_without_a_model_to_weigh_it(endpoint: RunningEndpoint) -> None:
    pytest.importorskip("cmaes")
    both = {"loss": "minimize", "size": "minimize"}
    study = mixed(endpoint, two, objectives=both, options={"budget": 1000})
    assert {t.sampler for t in study.trials} == {"llm", "evolution"}
    assert study.replay() == []


def test_a_grid_that_tries_every_point_asks_no_model(endpoint: RunningEndpoint) -> None:
    small = tk.Space(a=tk.Int(0, 3), model=tk.Categorical(["x", "y"]))
    study = mixed(endpoint, lambda t: t.params["a"], 8, space=small)
    assert {t.sampler for t in study.trials} == {"grid"}
    assert len({tuple(t.params.items()) for t in study.trials}) == 8
    assert endpoint.requests == []


def test_priors_of_auto_stay_with_its_model(endpoint: RunningEndpoint) -> None:
    priors = {"a": {"normal": [0.7, 0.05]}}
    study = mixed(endpoint, options={"priors": priors})
    assert "log_prior" in study.trials[-1].evidence or study.trials[-1].sampler == "llm"
    assert study.replay() == []


def test_a_reopened_study_goes_on_with_its_stored_options(
    endpoint: RunningEndpoint, tmp_path: Any
) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    mixed(endpoint, n=2, storage=url)
    again = tk.load_study("s", storage=url)
    again.optimize(loss, n_trials=10)
    assert sum(t.sampler == "llm" for t in again.trials) >= 3
    assert again.replay() == []


FLAT = {
    "a": {"type": "float", "lo": 0, "hi": 1},
    "b": {"type": "float", "lo": 0, "hi": 1},
    "model": {"type": "categorical", "choices": ["x", "y"]},
}


def test_a_study_file_mixes_a_model_in(endpoint: RunningEndpoint, tmp_path: Any) -> None:
    from typer.testing import CliRunner

    from tunekit.cli.app import app

    (tmp_path / "train.py").write_text("def objective(trial):\n    return trial.params['a']\n")
    (tmp_path / "tunekit.yaml").write_text(
        json.dumps(
            {
                "objective": f"{tmp_path}/train.py:objective",
                "name": "s",
                "space": {"parameters": FLAT},
                "trials": 6,
                "workers": 1,
                "storage": f"sqlite:///{tmp_path}/s.db",
                "sampler": "auto",
                "sampler_options": {"llm": llm_at(endpoint)},
            }
        )
    )
    result = CliRunner().invoke(app, ["run", "--file", f"{tmp_path}/tunekit.yaml"])
    assert result.exit_code == 0, result.output
    trials = tk.load_study("s", storage=f"sqlite:///{tmp_path}/s.db").trials
    assert "llm" in {t.sampler for t in trials}


def test_a_service_sends_no_requests_for_auto_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunekit.registry._refuses_foreign_code", True)
    with pytest.raises(InvalidArgument, match="sends no requests"):
        tk.study(sampler="auto", sampler_options={"llm": {"model": "m"}})


@pytest.mark.parametrize(
    ("llm", "why"),
    [
        ({}, '"model" is missing'),
        ({"model": "m", "modle": 1}, 'unknown option "modle"'),
        ({"model": "m", "arm": "random"}, 'unknown option "arm"'),
        ({"model": "m", "wait_s": -1}, "wait_s"),
        ("gpt", "expected options"),
    ],
)
def test_wrong_options_are_refused_before_a_study_is_created(llm: Any, why: str) -> None:
    with pytest.raises(InvalidArgument, match=why):
        tk.study(sampler="auto", sampler_options={"llm": llm})


@pytest.mark.parametrize("arm", ["random", 3, LLMSampler(model="m", base="http://127.0.0.1:9/v1")])
def test_what_cannot_propose_all_other_trials_is_refused(arm: Any) -> None:
    with pytest.raises(InvalidArgument, match="arm="):
        LLMSampler(model="m", base="http://127.0.0.1:9/v1", arm=arm)


def test_any_sampler_can_propose_all_other_trials(endpoint: RunningEndpoint) -> None:
    sampler = LLMSampler(**llm_at(endpoint), arm=RandomSampler())
    study = tk.study("s", space=TREE, objectives="loss", sampler=sampler, seed=3)
    study.optimize(loss, n_trials=8)
    assert {t.sampler for t in study.trials} == {"llm", "random"}
    assert study.replay() == []


def test_values_drawn_from_priors_leave_the_stored_answers_to_a_replay(
    endpoint: RunningEndpoint,
) -> None:
    options = {**llm_at(endpoint), "priors": {"a": {"normal": [0.7, 0.05]}}}
    study = tk.study("s", space=TREE, sampler="llm", sampler_options=options, seed=3)
    study.optimize(loss, n_trials=8)
    n_requests = len(endpoint.requests)
    assert study.replay() == []
    assert len(endpoint.requests) == n_requests


@pytest.mark.parametrize("options", [{"sampler": "llm"}, {"sampler": "auto"}], ids=str)
@pytest.mark.parametrize("name", ["racing", "proxy"])
def test_samplers_that_drop_proposals_refuse_one_whose_proposals_carry_bills(
    name: str, options: dict[str, Any]
) -> None:
    of_llm = {"model": "m", "base": "http://127.0.0.1:9/v1"}
    inner = {"llm": of_llm} if options["sampler"] == "auto" else of_llm
    given = {**options, "options": inner, **({"proxy": "math:fsum"} if name == "proxy" else {})}
    with pytest.raises(InvalidArgument, match="pays for answers"):
        tk.study(sampler=name, sampler_options=given)


def test_the_model_of_the_trials_is_fitted_once_for_a_proposal_and_its_prompt(
    endpoint: RunningEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_fits: list[int] = []
    fitted = ModelSearch.fitted

    def counted(self: ModelSearch, view: Any, *args: Any, **options: Any) -> Any:
        n_fits.append(view.history.revision)
        return fitted(self, view, *args, **options)

    monkeypatch.setattr(ModelSearch, "fitted", counted)
    study = mixed(endpoint, n=20)
    assert len(endpoint.requests) > 1
    assert len(n_fits) == len(set(n_fits)) == len(study.trials) - 6


def ended(number: int, sampler: str, value: float, **point: Any) -> TrialRecord:
    return TrialRecord(
        number,
        TrialState.COMPLETE,
        params=Params(point),
        sampler=sampler,
        metrics={"v": value, "w": -value},
    )


def test_a_hit_of_several_objectives_joins_the_front() -> None:
    history = History((ObjectiveSpec("v"), ObjectiveSpec("w", "maximize")))
    trials = [ended(0, "bayesian", 3.0), ended(1, "llm", 2.0), ended(2, "bayesian", 2.5)]
    history.update(trials, 3)
    assert hit_rates(history, after=1).llm == (1, 0)
    assert hit_rates(history, after=1).classical == (0, 1)


def test_trials_below_the_target_fidelity_count_for_neither_side() -> None:
    history = History((ObjectiveSpec("v"),), target={"epochs": 9})
    trials = [
        ended(0, "bayesian", 3.0, epochs=9),
        ended(1, "bayesian", 1.0, epochs=1),
        ended(2, "llm", 2.0, epochs=9),
    ]
    history.update(trials, 3)
    assert hit_rates(history, after=0).llm == (1, 0)
    assert hit_rates(history, after=0).classical == (1, 0)
