"""Decoding studies over real HTTP, against a simulated model whose best point is known."""

from __future__ import annotations

import pytest

import tunekit as tk
from tunekit import decoding
from tunekit.decoding.objective import ANSWERS
from tunekit.errors import InvalidArgument, NoCompleteTrial, StudyExists
from tunekit.testing.answerer import SimulatedAnswerer
from tunekit.testing.openai_server import Said, running_endpoint

MODEL = SimulatedAnswerer(n=300)


def opened(base, *, name="sums", model=MODEL, storage=None, **changed):
    settings = {"held_out": 0.5, "seed": 1, "at_once": 25, "sampler": "random", **changed}
    return decoding.study(
        name,
        questions=model.questions(),
        model="simulated",
        base=base,
        storage=storage,
        **settings,
    )


@pytest.mark.slow
def test_it_finds_nearly_the_cheapest_point_that_is_as_accurate_as_the_baseline():
    default = decoding.space().default()
    floor = MODEL.accuracy(default)
    with running_endpoint(MODEL) as endpoint:
        tuned = opened(endpoint.base, sampler="auto")
        assert tuned.run(20) == "done"
        found = tuned.confirm()
        n_asked = len(endpoint.requests)
        assert tuned.confirm() == found  # stored, not asked again
        assert len(endpoint.requests) == n_asked
    assert MODEL.cost(default) > 4 * MODEL.best(floor)
    assert MODEL.cost(tuned.winner.params) < 1.5 * MODEL.best(floor)
    assert MODEL.accuracy(tuned.winner.params) > floor - 0.05
    assert found.n == 150 and found.trial == tuned.winner.number
    assert (
        found.saving_low < 1 - MODEL.cost(found.params) / MODEL.cost(default) < found.saving_high
    )
    assert found.gap_low < MODEL.accuracy(found.params) - floor < found.gap_high
    assert "held-out questions" in str(found)


def test_the_baseline_comes_first_and_bad_points_end_early():
    with running_endpoint(MODEL) as endpoint:
        tuned = opened(
            endpoint.base,
            space={"temperature": tk.Float(0.0, 1.0), "reasoning_steps": [1, 6]},
            baseline={"temperature": 0.3, "reasoning_steps": 6},
        )
        tuned.run(6)
    first, *others = tuned.study.trials
    assert first.user_attrs["baseline"] and first.metrics["questions"] == 150.0
    assert tuned.baseline.number == 0
    bad = [t for t in others if t.params["reasoning_steps"] == 1]
    good = [t for t in others if t.params["reasoning_steps"] == 6]
    assert bad and good
    assert all(t.metrics["questions"] < 150 and t.metrics["p_worse"] < 0.1 for t in bad)
    assert tuned.winner.number not in {t.number for t in bad}
    orders = {tuple(t.user_attrs[ANSWERS]["asked"][:10]) for t in tuned.study.trials}
    assert len(orders) == 7


def test_prompts_compete_like_any_choice():
    prompts = {"plain": "Solve it.", "learnt": "Solve it with care.", "wordy": "Ponder at length."}
    model = SimulatedAnswerer(n=100, extra={"care": (0.08, 0), "Ponder": (0.0, 300)})
    with running_endpoint(model) as endpoint:
        tuned = opened(
            endpoint.base, model=model, prompts=prompts, space={"prompt": list(prompts)},
            sampler="grid", held_out=0.3,
        )  # fmt: skip
        tuned.run(3)
        assert tuned.winner.params["prompt"] == "learnt"
        assert endpoint.requests[0]["messages"][0]["content"] == "Solve it."


def test_a_study_goes_on_where_it_stood_in_another_process(tmp_path):
    url = f"sqlite:///{tmp_path}/sums.db"
    with running_endpoint(MODEL) as endpoint:
        opened(endpoint.base, storage=url).run(1)
        again = opened(endpoint.base, storage=url)
        n_before = len(endpoint.requests)
        again.run(2, workers=2)
    assert [t.user_attrs.get("baseline") for t in again.study.trials] == [True, None, None]
    assert len(endpoint.requests) - n_before == again.study.trials[2].metrics["questions"]


@pytest.mark.parametrize(
    "changed", [{"seed": 1, "held_out": 0.4}, {"tolerance": 0.1}, {"prompts": {"a": "Other."}}]
)
def test_a_study_with_other_settings_is_another_study(tmp_path, changed):
    url = f"sqlite:///{tmp_path}/sums.db"
    opened("http://localhost:1/v1", storage=url)
    with pytest.raises(StudyExists, match="choose another name"):
        opened("http://localhost:1/v1", storage=url, **changed)


def test_a_limit_of_tokens_ends_the_run_and_more_may_follow():
    with running_endpoint(MODEL) as endpoint:
        tuned = opened(endpoint.base, space={"temperature": tk.Float(0.0, 0.5)})
        assert tuned.run(9, max_tokens=1) == "stopped"
        assert len(tuned.study.trials) == 1
        spent, _ = tuned.spent()
        assert tuned.run(9, max_tokens=spent + 1) == "stopped"
        assert len(tuned.study.trials) == 2
        assert tuned.run(2) == "done"
        assert len(tuned.study.trials) == 3


def test_dollars_are_counted_by_the_price_list():
    with running_endpoint(MODEL) as endpoint:
        tuned = opened(endpoint.base, minimize="dollars", price=(1e6, 2e6))
        tuned.run(0)
    baseline = tuned.baseline.metrics
    prompt = 40 * baseline["questions"]
    assert baseline["dollars"] == pytest.approx(prompt + 2 * (baseline["tokens"] - prompt))
    right = baseline["accuracy"] * baseline["questions"]
    assert baseline["dollars_per_correct"] == pytest.approx(baseline["dollars"] / right)
    with pytest.raises(InvalidArgument, match="price"):
        opened("http://localhost:1/v1", minimize="dollars")


def test_rate_limits_are_waited_for_and_an_outage_fails_the_trial_not_the_answers():
    seen: set[str] = set()

    def busy(request):
        text = request["messages"][-1]["content"]
        if text not in seen:
            seen.add(text)
            return Said("slow down", status=429, headers={"Retry-After": "0"})
        return MODEL(request)

    with running_endpoint(busy) as endpoint:
        tuned = opened(endpoint.base)
        tuned.run(0)
        assert tuned.baseline.metrics["questions"] == 150.0
    with running_endpoint(lambda request: Said("no such model", status=404)) as endpoint:
        tuned = opened(endpoint.base, name="away")
        with pytest.raises(NoCompleteTrial, match="status 404: no such model"):
            tuned.run(3)


REFUSAL = b'{"choices": [{"message": {"content": null, "refusal": "no sums"}}], "usage": {}}'


@pytest.mark.parametrize("said", [Said(""), Said(body=REFUSAL)], ids=["empty", "refused"])
def test_an_empty_or_refused_answer_is_a_wrong_one_and_is_paid_for(said):
    def silent(request):
        return said if "What is 4 " in request["messages"][-1]["content"] else MODEL(request)

    with running_endpoint(silent) as endpoint:
        tuned = opened(endpoint.base, held_out=0.0)
        tuned.run(0)
        assert len(endpoint.requests) == MODEL.n  # it is not asked again
    answers = tuned.baseline.user_attrs[ANSWERS]
    place = answers["asked"].index(1)
    assert answers["correct"][place] == "0" and answers["tokens"][place] > 0


def test_there_is_nothing_to_confirm_without_a_better_point_or_held_out_questions():
    with running_endpoint(MODEL) as endpoint:
        tuned = opened(endpoint.base)
        with pytest.raises(NoCompleteTrial, match="has not measured its baseline"):
            tuned.confirm()
        tuned.run(0)
        with pytest.raises(InvalidArgument, match=r"no trial .* is better than the baseline"):
            tuned.confirm()


def test_the_name_is_public_and_loads_no_client():
    assert tk.decoding is decoding
