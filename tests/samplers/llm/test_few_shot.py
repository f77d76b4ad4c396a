"""What a language model is told of earlier studies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tunekit as tk
from tunekit.studies.similar_studies import similar_studies
from tunekit.testing.openai_server import Said, running_endpoint

SPACE = {"a": tk.Float(0.0, 1.0), "b": tk.Int(1, 9), "c": ["x", "y"]}


def score(trial: Any) -> float:
    return float(trial.params["a"])


def earlier(path: Path, name: str, space: Any, metric: str = "score") -> tk.Study:
    study = tk.study(
        name,
        space=space,
        objectives={metric: "maximize"},
        storage=str(path),
        sampler="random",
        seed=1,
    )
    study.optimize(score, n_trials=12)
    return study


def prompts(path: Path) -> list[dict[str, Any]]:
    """Return the data of the prompts of a new study that learns from the similar ones."""
    space, near = tk.Space(**SPACE), tk.load_study("near", storage=str(path))
    with running_endpoint(lambda request: Said("{}")) as endpoint:
        study = tk.study(
            "new",
            space=space,
            objectives={"score": "maximize"},
            storage=str(path),
            sampler="llm",
            sampler_options={"model": "m", "base": endpoint.base, "wait_s": 60.0},
            warm_start=similar_studies(near.storage, space, "score", direction="maximize"),
            seed=1,
        )
        study.optimize(score, n_trials=2)
        sent = [r["messages"][1]["content"] for r in endpoint.requests]
    assert study.replay() == []
    return [json.loads(s.partition("\nDATA\n")[2]) for s in sent]


def test_the_best_points_of_similar_studies_stand_in_the_prompt_as_data(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    near = earlier(path, "near", SPACE)
    earlier(path, "other metric", SPACE, "loss")
    earlier(path, "far", {"a": tk.Float(0.0, 1.0), "p": tk.Float(0, 1), "q": tk.Float(0, 1)})
    best = sorted((t.params["a"] for t in near.trials), reverse=True)[:5]
    (shown,) = prompts(path)[0]["good points of similar studies"]
    assert shown["study"] == "near"
    assert [p["result"] for p in shown["best points"]] == best
    assert [p["params"]["a"] for p in shown["best points"]] == best


def test_the_study_with_more_of_the_parameters_is_more_similar(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    earlier(path, "less", {**SPACE, "d": tk.Float(0, 1)})
    study = earlier(path, "more", SPACE)
    earlier(path, "other choices", {**SPACE, "c": ["p", "q"], "d": tk.Float(0, 1)})
    found = similar_studies(study.storage, tk.Space(**SPACE), "score", direction="maximize")
    assert found == ["more", "less", "other choices"]
    assert similar_studies(study.storage, tk.Space(**SPACE), "score") == []
