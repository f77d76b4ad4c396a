"""With the network off a study goes on as without a language model, says so, and replays."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

import tunekit as tk
from tunekit.samplers.llm.past_advice import advices
from tunekit.testing.openai_server import Said, running_endpoint

SPACE = tk.Space(
    a=tk.Float(0.0, 1.0),
    model=tk.Categorical({"x": tk.Space(b=tk.Float(0.0, 1.0)), "y": None}),
)
NOWHERE = "http://127.0.0.1:9/v1"


def loss(trial: Any) -> float:
    p = trial.params
    return (p["a"] - 0.7) ** 2 + ((p["b"] - 0.2) ** 2 if p["model"] == "x" else 0.3)


def near(request: dict[str, Any]) -> Said:
    """Answer with points around the optimum, the same for the same prompt."""
    rng = random.Random(request["messages"][-1]["content"])
    points = [
        {"a": 0.7 + rng.uniform(-0.1, 0.1), "model": "x", "b": 0.2 + rng.uniform(-0.1, 0.1)}
        for _ in range(4)
    ]
    return Said(json.dumps({"rationale": "known", "points": points}))


def study_with(base: str, storage: str | None = None) -> tk.Study:
    llm = {"model": "m", "base": base, "wait_s": 60.0, "timeout_s": 60.0, "retries": 0}
    return tk.study(
        "s",
        space=SPACE,
        objectives="loss",
        sampler="auto",
        sampler_options={"llm": llm},
        seed=3,
        storage=storage,
    )


@pytest.mark.faults
def test_a_study_whose_endpoint_is_switched_off_in_the_middle_goes_on_and_says_so(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    with running_endpoint(near) as endpoint:
        study_with(endpoint.base, url).optimize(loss, n_trials=6)
    again = tk.load_study("s", storage=url)  # another process finds the endpoint gone
    again.optimize(loss, n_trials=18)
    assert [t.state for t in again.trials] == ["complete"] * 24
    before, after = again.trials[:6], again.trials[6:]
    assert sum(t.sampler == "llm" for t in before) == 3
    unreached = [n for n, a in advices(after) if "cannot be reached" in str(a["problems"])]
    assert unreached
    fresh = max(n for n, a in advices(again.trials) if a["points"]) + 8
    assert {t.sampler for t in again.trials if t.number > fresh} == {"bayesian"}
    report = again.llm_report()
    assert report.n_calls_failed == len(unreached)
    assert "cannot be reached" in str(report)
    assert again.replay() == []


def test_a_study_without_a_network_makes_the_same_trials_as_one_without_a_model() -> None:
    offline = study_with(NOWHERE)
    offline.optimize(loss, n_trials=10)
    alone = tk.study("s", space=SPACE, objectives="loss", sampler="auto", seed=3)
    alone.optimize(loss, n_trials=10)
    assert [t.params for t in offline.trials] == [t.params for t in alone.trials]
    assert "the language model gave no usable points: the endpoint cannot be reached" in (
        offline.trials[1].reason
    )
    assert offline.replay() == []
