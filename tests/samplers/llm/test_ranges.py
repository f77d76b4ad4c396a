"""Ranges that a model advises are a prior that fades, and that a wrong one hardly costs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import tunekit as tk
from tests.samplers.llm.hostile_replies import SPACE, VALUES
from tunekit.samplers.bayesian.densities import Cells
from tunekit.samplers.bayesian.prior_term import PriorTerm
from tunekit.samplers.bayesian.priors import STRENGTH, UserPriors
from tunekit.samplers.llm.past_advice import advices
from tunekit.samplers.llm.ranges import MAX_SENTENCES, belief, read_ranges
from tunekit.samplers.llm.replies import read_reply
from tunekit.samplers.llm.reply_schema import reply_schema
from tunekit.spaces import Params
from tunekit.spaces.encode import Encoder
from tunekit.testing.openai_server import RunningEndpoint, Said, running_endpoint

C, N, KERNEL = "model.svm.C", "model.forest.n", "model.svm.kernel"
GOOD = {
    C: {"lower": 0.1, "upper": 10.0},
    N: {"lower": 50, "upper": 200},
    "model": ["forest"],
}


@pytest.mark.parametrize(
    "given_",
    [
        GOOD,
        {"C": [0.1, "1e1"], "n": {"lower": "50", "upper": 200}, "model": ["forest"]},
        {"model.svm": {"C": {"upper": 10.0, "lower": 0.1}}, "n": [50, 200], "model": ["forest"]},
        {**GOOD, "wait": {"lower": 0, "upper": 100}, KERNEL: ["linear", "rbf"]},  # leave out none
    ],
)
def test_ranges_are_read_from_the_forms_that_models_use(given_: Any) -> None:
    found, refused = read_ranges(given_, SPACE)
    assert found == GOOD
    assert refused == []


@pytest.mark.parametrize(
    ("range_", "why"),
    [
        ({"C": {"lower": 1e-9, "upper": 1.0}}, r"expected a number in \[0.001, 1000.0\]"),
        ({"C": {"lower": 1.0, "upper": float("inf")}}, "expected a number in"),
        ({"C": {"lower": float("nan"), "upper": 1.0}}, "expected a number in"),
        ({"C": {"lower": 9.0, "upper": 1.0}}, "lies above the upper"),
        ({"C": {"lower": "1 MB", "upper": 10}}, "plain number without a unit"),
        ({"C": {"lower": True, "upper": 10}}, "expected a number in"),
        ({"C": {"lower": 1.0}}, '"upper": number'),
        ({"C": {"lower": 1.0, "max": 2.0}}, '"upper": number'),
        ({"C": 3.0}, '"upper": number'),
        ({"n": {"lower": 10**4000, "upper": 10**4001}}, "expected a number in"),
        ({"model": ["forest", "tree"]}, "expected one of"),
        ({"model": "forest"}, "expected a list"),
        ({"model": []}, "expected a list"),
        ({"modell": ["forest"]}, "unknown parameter"),
        ({"__class__": {"__init__": [1, 2]}}, "unknown parameter"),
        ([1, 2], "expected an object path -> range"),
        ("all", "expected an object path -> range"),
        ({"model": json.loads('{"a":' * 300 + "1" + "}" * 300)}, "nested deeper"),
    ],
)
def test_a_range_that_does_not_fit_is_refused_with_a_sentence(range_: Any, why: str) -> None:
    found, refused = read_ranges(range_, SPACE)
    assert found == {}
    (sentence,) = refused
    assert len(sentence) <= 500
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(sentence)


def test_a_wrong_range_costs_no_point_and_stands_among_the_problems() -> None:
    said = json.dumps({"points": [{"model": "svm"}], "ranges": {"C": [5, 1], **GOOD}})
    read = read_reply(said, SPACE)
    assert len(read.points) == 1
    assert read.ranges == GOOD
    assert "lies above the upper" in read.refused[0]


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_no_ranges_raise_and_what_is_read_is_a_belief(value: Any) -> None:
    found, refused = read_ranges({"C": value, "model": value, "n": [value, 300]}, SPACE)
    assert len(refused) <= MAX_SENTENCES
    for path, range_ in found.items():
        assert UserPriors({path: belief(range_, SPACE, path)}).on(SPACE, is_open=False)
    assert read_ranges(json.loads(json.dumps(found)), SPACE)[0] == found
    read_ranges(value, SPACE)


def test_a_belief_holds_nine_tenths_between_the_ends_on_the_scale_of_the_parameter() -> None:
    middle, sd = belief(GOOD[C], SPACE, C)["lognormal"]
    assert middle == pytest.approx(1.0)
    assert np.log(10.0) / sd == pytest.approx(1.645)
    middle, sd = belief({"lower": 100, "upper": 100}, SPACE, "wait")["normal"]
    assert (middle, sd) == (100, 5.0)  # no narrower than a twentieth of the range
    assert belief(["forest"], SPACE, "model") == {"weights": {'"forest"': 1.0}}


def test_the_schema_describes_the_range_of_each_parameter() -> None:
    schema = reply_schema(SPACE, 3)
    assert "ranges" not in schema["required"]
    values = schema["properties"]["ranges"]["properties"]
    assert list(values) == [p.path for p in SPACE]
    assert values[C]["properties"]["lower"] == {"type": "number", "minimum": 1e-3, "maximum": 1e3}
    assert values["model"]["items"] == {"enum": ["svm", "forest"]}


def test_a_belief_of_the_user_counts_more_than_a_range_of_the_same_parameter() -> None:
    encoder = Encoder(tk.Space(a=["x", "y"], b=["x", "y"]))
    x, y = Cells.of([1.0, 0.0]), Cells.of([0.0, 1.0])
    own = PriorTerm(encoder, {"a": x}, exponent=2.0)
    both = own.joined(PriorTerm(encoder, {"a": y, "b": y}, exponent=1.0))
    rows = encoder.encode([Params(a="x", b="y"), Params(a="y", b="y")])
    most, least = np.log(1.9), np.log(0.1)
    assert both.log_probability(rows) == pytest.approx([3 * most, 2 * least + most])
    assert own.log_probability(rows) == pytest.approx([2 * most, 2 * least])


PLAIN = tk.Space(a=tk.Float(0.0, 1.0), b=tk.Float(0.0, 1.0))


def loss(trial: Any) -> float:
    p = trial.params
    return float((p["a"] - 0.2) ** 2 + (p["b"] - 0.8) ** 2)


def advising(ranges: Any) -> Callable[[dict[str, Any]], Said]:
    """Return a model that has one good point at first, and ranges."""
    points = iter([{"a": 0.4, "b": 0.6}])

    def answer(request: dict[str, Any]) -> Said:
        named = [next(points, {"a": 0.4, "b": 0.6})]
        return Said(json.dumps({"rationale": "", "points": named, "ranges": ranges}))

    return answer


def run(endpoint: RunningEndpoint, n: int = 30) -> tk.Study:
    options = {"model": "m", "base": endpoint.base, "wait_s": 60.0, "retries": 0}
    study = tk.study("s", space=PLAIN, sampler="llm", sampler_options=options, seed=7)
    study.optimize(loss, n_trials=n)
    return study


def ranged(study: tk.Study) -> list[Any]:
    return [t for t in study.trials if "ranges" in t.evidence.get("llm", {})]


def test_without_a_point_left_the_ranges_guide_the_search_less_with_every_result() -> None:
    ranges = {"a": {"lower": 0.1, "upper": 0.3}, "b": {"lower": 0.7, "upper": 0.9}}
    with running_endpoint(advising(ranges)) as endpoint:
        study = run(endpoint)
    found = ranged(study)
    assert len(found) >= 2
    for trial in found:
        part = trial.evidence["llm"]
        assert trial.sampler == "llm"
        assert part["ranges"] == ranges
        assert part["exponent"] == pytest.approx(STRENGTH / trial.number, abs=1e-4)
        assert trial.evidence["prior_exponent"] == part["exponent"]
    assert 0.05 < found[0].params["a"] < 0.35 and 0.65 < found[0].params["b"] < 0.95
    assert study.replay() == []  # the endpoint is away


def test_ranges_of_parameters_that_are_gone_are_left_out() -> None:
    with running_endpoint(advising({"a": [0.1, 0.3], "b": [0.7, 0.9]})) as endpoint:
        study = run(endpoint, 6)
        study.edit_space(tk.Space(a=PLAIN.by_path["a"].domain, b=tk.Float(0.0, 0.8)))
        study.optimize(loss, n_trials=20)
    assert all(set(t.evidence["llm"]["ranges"]) <= {"a"} for t in ranged(study) if t.number > 10)
    assert all(t.state == "complete" for t in study.trials)


def test_a_range_far_from_the_optimum_does_not_hold_the_study_back() -> None:
    wrong = {"a": {"lower": 0.9, "upper": 1.0}, "b": {"lower": 0.0, "upper": 0.1}}
    with running_endpoint(advising(wrong)) as endpoint:
        study = run(endpoint)
    assert min(map(loss, study.trials)) < 1e-3
    assert len(ranged(study)) <= 12
    assert advices(study.trials)[0][1]["ranges"] == wrong
