"""What a model expects of points helps to rank them, if it is asked."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

import tunekit as tk
from tests.samplers.llm.hostile_replies import VALUES
from tunekit.errors import InvalidArgument
from tunekit.history import History
from tunekit.records import ObjectiveSpec, TrialRecord, TrialState
from tunekit.samplers.base import StudyView
from tunekit.samplers.llm.past_advice import advices, spent
from tunekit.samplers.llm.predictions import read_predictions
from tunekit.samplers.llm.ranking import MARGIN, SPREAD, most_promising
from tunekit.samplers.llm.sampler import LLMSampler
from tunekit.samplers.random import RandomSampler
from tunekit.spaces import Params
from tunekit.testing.openai_server import RunningEndpoint, Said, running_endpoint

SPACE = tk.Space(a=tk.Float(0.0, 1.0), b=tk.Float(0.0, 1.0))


def loss(trial: Any) -> float:
    p = trial.params
    return float((p["a"] - 0.3) ** 2 + (p["b"] - 0.3) ** 2)


def asked_to_predict(request: dict[str, Any]) -> list[Any] | None:
    """Return the points of a request for predictions, `None` of another one."""
    data = json.loads(request["messages"][1]["content"].partition("\nDATA\n")[2])
    found: list[Any] | None = data.get("points to predict")
    return found


def answering(predict: Callable[[list[Any]], Said]) -> Callable[[dict[str, Any]], Said]:
    """Return a model whose points are new with each request; its third one is the best."""
    n_asked = itertools.count()

    def answer(request: dict[str, Any]) -> Said:
        points = asked_to_predict(request)
        if points is not None:
            return predict(points)
        b = 0.4 + 0.01 * next(n_asked)
        named = [{"a": a, "b": b} for a in (0.9, 0.6, 0.3, 0.7)]
        return Said(json.dumps({"rationale": "", "points": named}))

    return answer


def said(values: Any) -> Said:
    return Said(json.dumps({"predictions": values}))


def knows(points: list[Any]) -> Said:
    losses = [(p["a"] - 0.3) ** 2 + (p["b"] - 0.3) ** 2 for p in points]
    return said([{"mean": value, "sd": 0.05} for value in losses])


def run(endpoint: RunningEndpoint, n: int = 22, *, seed: int = 3, **options: Any) -> tk.Study:
    given_ = {"model": "m", "base": endpoint.base, "wait_s": 60.0, "retries": 0, **options}
    study = tk.study(
        "s", space=SPACE, sampler=LLMSampler(**given_, arm=RandomSampler()), seed=seed
    )
    study.optimize(loss, n_trials=n)
    return study


def first_of_later_advice(study: tk.Study) -> list[Any]:
    """Return the first trial that each advice with predictions has led to."""
    first: dict[int, Any] = {}
    for trial in study.trials:
        if trial.sampler == "llm":
            first.setdefault(trial.evidence["llm"]["of"], trial)
    return [trial for number, trial in first.items() if number > 0]


def test_the_point_of_which_most_is_expected_comes_first() -> None:
    with running_endpoint(answering(knows)) as endpoint:
        study = run(endpoint, predicts=True)
    assert asked_to_predict(endpoint.requests[1]) is None  # nothing was measured before
    chosen = first_of_later_advice(study)
    assert len(chosen) >= 2
    assert [t.params["a"] for t in chosen] == [0.3] * len(chosen)
    assert all(t.evidence["llm"]["expected"][1] == 0.05 for t in chosen)
    given_ = [a for _, a in advices(study.trials) if "predictions" in a]
    assert all(len(a["predictions"]["values"]) == 4 for a in given_)
    assert "points to predict" in given_[0]["predictions"]["prompt"]
    assert json.loads(given_[0]["predictions"]["reply"])["predictions"]
    assert study.replay() == []  # the endpoint is away


def test_no_model_is_asked_to_predict_unless_the_user_wants_it() -> None:
    with running_endpoint(answering(knows)) as endpoint:
        run(endpoint, 12)
    assert [asked_to_predict(r) for r in endpoint.requests] == [None] * len(endpoint.requests)
    with pytest.raises(InvalidArgument, match="predicts=1, expected True or False"):
        LLMSampler(model="m", predicts=1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "reply",
    [
        Said("no idea"),
        Said("no", status=500),
        Said(body=b"<html>"),
        said([{"mean": 0.1, "sd": 0.1}]),
        said([{"mean": 0.1, "sd": 0.0}] * 4),
        said([{"mean": 0.1, "sd": -1.0}] * 4),
        said([{"mean": None, "sd": 0.1}] * 4),
        said([{"mean": True, "sd": 0.1}] * 4),
        said([{"mean": "10 ms", "sd": 0.1}] * 4),
        said([[0.1, 0.1]] * 4),
        Said('{"predictions": [{"mean": NaN, "sd": 1}, {"mean": 1e999, "sd": 1}, 3, null]}'),
        Said('{"predictions": {"0": {"mean": 0.1, "sd": 0.1}}}'),
        said([{"mean": 10**400, "sd": 0.1}] * 4),
    ],
    ids=range(13),
)
def test_useless_predictions_leave_the_points_in_their_order(reply: Said) -> None:
    with running_endpoint(answering(lambda points: reply)) as endpoint:
        study = run(endpoint, 14, predicts=True)
    (chosen, *_) = first_of_later_advice(study)
    assert chosen.params["a"] == 0.9
    (advice, *_) = [a["predictions"] for _, a in advices(study.trials) if "predictions" in a]
    assert advice["values"] == []
    assert len(advice["problem"]) > 10
    assert study.replay() == []


@settings(max_examples=100, deadline=None)
@given(VALUES, VALUES)
def test_no_predictions_raise(one: Any, other: Any) -> None:
    for text in (json.dumps({"predictions": one}), said([{"mean": one, "sd": other}]).text):
        values, problem = read_predictions(text, 1)
        assert bool(values) != bool(problem)


def test_predictions_are_paid_for_and_not_asked_for_beyond_the_limit() -> None:
    usage = {"prompt_tokens": 90, "completion_tokens": 10}

    def counted(request: dict[str, Any]) -> Said:
        return replace(answer(request), usage=usage)

    answer = answering(knows)
    with running_endpoint(counted) as endpoint:
        study = run(endpoint, 60, predicts=True, max_tokens=400)
    n_predicted = sum(asked_to_predict(r) is not None for r in endpoint.requests)
    given_ = advices(study.trials)
    assert spent(given_).tokens == 100 * len(endpoint.requests) == 400
    assert n_predicted == 1
    assert "no further attempt: 400 of 400 tokens" in given_[-1][1]["predictions"]["problem"]


def view(direction: str = "minimize", best: float = 1.0) -> StudyView:
    objectives = (ObjectiveSpec("v", direction),)  # type: ignore[arg-type]
    history = History(objectives)
    params = Params(a=0.5, b=0.5)
    history.update([TrialRecord(0, TrialState.COMPLETE, params=params, metrics={"v": best})], 1)
    return StudyView(SPACE, objectives, (), 0, history, {})


def test_both_opinions_count_and_the_model_of_the_trials_decides_what_may_be_tried() -> None:
    sure = [(2.0, 0.1), (0.0, 0.1), (0.9, 0.1)]
    rank = most_promising
    assert rank(view(), sure, None, None) == 1
    assert rank(view("maximize"), sure, None, None) == 0
    assert rank(view(), sure, [0.0, 0.0, 0.0], 0.0) == 1
    assert rank(view(), sure, [0.0, -0.1 - MARGIN, 0.0], 0.0) == 2  # the best one promises less
    assert rank(view(), sure, [SPREAD + 0.1, 0.0, 0.0], 0.0) == 0  # an opinion is bounded
    assert rank(view(), sure, [-9.0, -9.0, -9.0], 0.0) is None
    assert rank(view(), [(2.0, 0.1), None, (0.9, 0.1)], [0.0, 1.0, 0.5], 0.0) == 1
    assert rank(view(), [None, None], None, None) == 0
    extreme = [(1e100, 1e-300), (-1e100, 1e100), (-1e100, 1e-300)]
    assert rank(view(best=1e300), extreme, [0.0, 0.0, 0.0], 0.0) in (0, 1, 2)
