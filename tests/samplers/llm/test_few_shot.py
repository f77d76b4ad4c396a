"""What a language model is told of earlier studies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tunekit as tk
from tunekit.storages.base import Storage
from tunekit.storages.urls import open_storage
from tunekit.studies.similar_studies import similar_studies
from tunekit.testing.openai_server import RunningEndpoint, Said, running_endpoint

SPACE = {"a": tk.Float(0.0, 1.0), "b": tk.Int(1, 9), "c": ["x", "y"]}


def score(trial: Any) -> float:
    return float(trial.params["a"])


def place_of(path: Path | Storage) -> str | Storage:
    return str(path) if isinstance(path, Path) else path


def earlier(path: Path | Storage, name: str, space: Any, metric: str = "score") -> tk.Study:
    study = tk.study(
        name,
        space=space,
        objectives={metric: "maximize"},
        storage=place_of(path),
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


def new(path: Path | Storage, endpoint: RunningEndpoint, n: int = 2, **given: Any) -> tk.Study:
    """Return a study that has asked a model, with `given` in place of its settings."""
    llm = {"model": "m", "base": endpoint.base, "wait_s": 60.0}
    settings = {"sampler": "llm", "sampler_options": llm, "space": tk.Space(**SPACE)}
    study = tk.study(
        "new", objectives={"score": "maximize"}, storage=place_of(path), seed=1, **settings | given
    )
    study.optimize(score, n_trials=n)
    return study


def told(endpoint: RunningEndpoint) -> list[Any]:
    """Return the examples of each prompt."""
    sent = [r["messages"][1]["content"].partition("\nDATA\n")[2] for r in endpoint.requests]
    return [json.loads(s).get("good points of similar studies") for s in sent]


def nothing(request: dict[str, Any]) -> Said:
    return Said("{}")


@pytest.mark.parametrize("sampler", ["llm", "auto"])
def test_a_new_study_finds_the_similar_ones_of_its_storage_by_itself(
    tmp_path: Path, sampler: str
) -> None:
    path = tmp_path / "s.db"
    near = earlier(path, "near", SPACE)
    earlier(path, "other metric", SPACE, "loss")
    earlier(path, "far", {"a": tk.Float(0.0, 1.0), "p": tk.Float(0, 1), "q": tk.Float(0, 1)})
    best = sorted((t.params["a"] for t in near.trials), reverse=True)[:5]
    with running_endpoint(nothing) as endpoint:
        llm = {"model": "m", "base": endpoint.base, "wait_s": 60.0}
        options = {"llm": llm} if sampler == "auto" else llm
        study = new(path, endpoint, sampler=sampler, sampler_options=options)
        near.optimize(score, n_trials=5)  # what the study has copied stays
        for _ in range(2):  # opened again with its options, and with its own
            new(path, endpoint, n=1, sampler=sampler, sampler_options=options)
            tk.load_study("new", storage=str(path)).optimize(score, n_trials=1)
    shown = told(endpoint)
    assert len(shown) >= 3
    for (example,) in shown:
        assert example["study"] == "near"
        assert [p["result"] for p in example["best points"]] == best
    assert study.sampler.name == sampler
    assert study.replay() == []


@pytest.mark.parametrize(
    "given",
    [
        {"sampler_options": {"n_similar": 0}},
        {"space": tk.Space(z=tk.Float(0.0, 1.0), a=tk.Float(0.0, 1.0), y=tk.Float(0.0, 1.0))},
    ],
    ids=["turned off", "nothing similar"],
)
def test_no_study_is_shown_where_none_is_wanted_or_similar(
    tmp_path: Path, given: dict[str, Any]
) -> None:
    path = tmp_path / "s.db"
    earlier(path, "near", SPACE)
    with running_endpoint(nothing) as endpoint:
        llm = {"model": "m", "base": endpoint.base, "wait_s": 60.0}
        options = {**llm, **given.get("sampler_options", {})}
        new(path, endpoint, **{**given, "sampler_options": options})
    assert set(map(str, told(endpoint))) == {"None"}


def test_the_examples_of_a_study_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    for k in range(5):
        earlier(path, f"near {k}", SPACE)
    wide = {f"p{k}_{'x' * 150}": tk.Float(0.0, 1.0) for k in range(40)}
    earlier(path, "wide", wide | {"a": tk.Float(0.0, 1.0)})
    with running_endpoint(nothing) as endpoint:
        study = new(path, endpoint)
        big = tk.study(
            "big",
            space=wide | {"a": tk.Float(0.0, 1.0)},
            objectives={"score": "maximize"},
            storage=str(path),
            sampler="llm",
            sampler_options={"model": "m", "base": endpoint.base},
        )
    kept = study.record().spec.sampler_options["examples"]
    assert [k["study"] for k in kept] == ["near 4", "near 3", "near 2"]  # the newest
    assert all(len(k["trials"]) == 10 for k in kept)
    assert "examples" not in big.record().spec.sampler_options  # beyond the size


def test_studies_of_other_projects_are_not_shown(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    with running_endpoint(nothing) as endpoint:
        for project, is_shown in (("p", True), ("q", False)):
            where = open_storage(f"{url}?project={project}")
            if project == "p":
                earlier(where, "near", SPACE)
            study = new(where, endpoint)
            assert ("examples" in study.record().spec.sampler_options) == is_shown


def test_another_sampler_reads_no_other_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.db"
    earlier(path, "near", SPACE)
    monkeypatch.setattr("tunekit.studies.examples.similar_studies", None)
    for name in ("random", "bayesian", "auto"):
        study = tk.study(name, space=SPACE, objectives="score", storage=str(path), sampler=name)
        assert "examples" not in study.record().spec.sampler_options


def test_auto_with_a_language_model_starts_warm_and_shows_it_the_earlier_points(
    tmp_path: Path,
) -> None:
    path = tmp_path / "s.db"
    near = earlier(path, "near", SPACE)
    earlier(path, "also near", SPACE)
    with running_endpoint(nothing) as endpoint:
        llm = {"model": "m", "base": endpoint.base, "wait_s": 60.0}
        given = {"sampler": "auto", "sampler_options": {"llm": llm}, "warm_start": "near"}
        study = new(path, endpoint, n=4, **given)
        again = new(path, endpoint, n=1, **given)
        alone = tk.load_study("new", storage=str(path))
        alone.optimize(score, n_trials=4)
    assert [example["study"] for shown in told(endpoint) for example in shown] == ["near"] * len(
        told(endpoint)
    )
    assert study.trials[1].params == near.best_params
    assert "did well in earlier studies: near" in study.trials[1].reason
    assert "near" in alone.trials[-1].evidence["past"]
    options = again.record().spec.sampler_options
    assert (again.record().spec.sampler, sorted(options)) == ("auto", ["llm", "past"])
    assert alone.replay() == []


def test_the_study_with_more_of_the_parameters_is_more_similar(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    earlier(path, "less", {**SPACE, "d": tk.Float(0, 1)})
    study = earlier(path, "more", SPACE)
    earlier(path, "other choices", {**SPACE, "c": ["p", "q"], "d": tk.Float(0, 1)})
    found = similar_studies(study.storage, tk.Space(**SPACE), "score", direction="maximize")
    assert found == ["more", "less", "other choices"]
    assert similar_studies(study.storage, tk.Space(**SPACE), "score") == []
