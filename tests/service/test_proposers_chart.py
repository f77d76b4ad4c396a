"""The chart of proposers tells what each sampler and a language model were worth."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

import tunekit as tk
from tunekit.analysis.charts.proposer_records import ProposersChart
from tunekit.analysis.charts.proposers import proposers_chart
from tunekit.history import History
from tunekit.plots.proposers import proposers_figure, share_figure
from tunekit.records import ObjectiveSpec, TrialRecord, TrialState
from tunekit.service.app import Service, create_app
from tunekit.spaces import Params
from tunekit.storages.codec import from_dict
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_database
from tunekit.testing.openai_server import Said, running_endpoint

SPACE = tk.Space(x=tk.Float(0.0, 1.0), y=tk.Float(0.0, 1.0))
Chart = Callable[..., ProposersChart]


def answer(request: dict[str, Any]) -> Said:
    n = len(request["messages"][-1]["content"])
    points = [{"x": 0.7 + n % 97 / 1e4, "y": 0.2 + k / 1e3} for k in range(4)]
    return Said(json.dumps({"rationale": "known <b>", "points": points}))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tk.Study]:
    url = f"sqlite:///{tmp_path_factory.mktemp('proposers')}/all.db"
    with running_endpoint(answer) as endpoint:
        llm = {"model": "m", "base": endpoint.base, "wait_s": 60.0, "price": [1.0, 2.0]}
        made = tk.study(
            "s", space=SPACE, sampler="auto", sampler_options={"llm": llm}, seed=2, storage=url
        )
        made.optimize(lambda t: (t.params["x"] - 0.7) ** 2 + t.params["y"], n_trials=14)
    yield made


@pytest.fixture(scope="module")
def chart(study: tk.Study) -> Iterator[Chart]:
    """What a service for the file answers."""
    url = study.storage.url
    storage = SQLStorage(open_database(url))
    with TestClient(create_app(Service(storage, url=url, shows_all=True))) as client:

        def ask(**query: Any) -> ProposersChart:
            path = f"/api/v1/projects/default/studies/{study.id}/charts/proposers"
            got = client.get(path, params=query)
            assert got.status_code == 200, got.text
            return from_dict(ProposersChart, got.json())

        yield ask


def test_hits_prices_and_best_results_are_those_of_the_report(
    study: tk.Study, chart: Chart
) -> None:
    found, report = chart(), study.llm_report()
    assert [p.sampler for p in found.proposers] == ["llm", "bayesian"]
    for shown, row in zip(found.proposers, report.rows, strict=True):
        assert (shown.n_trials, shown.hits) == (row.n_trials, row.hits)
        assert (shown.best, shown.best_number) == (row.best, row.best_number)
        assert shown.improved_at[-1] == row.best_number
    assert found.proposers[0].hits > 0
    assert (found.n_calls, found.tokens) == (report.spent.calls, report.spent.tokens)
    assert found.dollars == pytest.approx(report.spent.dollars)


def test_the_share_over_time_is_the_allowed_one_and_the_taken_one(
    study: tk.Study, chart: Chart
) -> None:
    found = chart()
    assert found.numbers == tuple(range(1, 14))
    assert found.allowed[0] == 0.5
    assert all(share <= 0.3 for share in found.allowed[6:])
    by_llm = [t.sampler == "llm" for t in study.trials]
    assert found.taken[-1] == pytest.approx(sum(by_llm) / 14, abs=1e-4)
    stored = [t.evidence["llm"]["share"] for t in study.trials if t.sampler == "llm"]
    shown = [found.allowed[t.number - 1] for t in study.trials if t.sampler == "llm"]
    assert shown == pytest.approx(stored, abs=1e-3)


def test_the_newest_advice_is_shown_unless_a_trial_is_asked_for(
    study: tk.Study, chart: Chart
) -> None:
    newest, first = chart(), chart(number=0)
    assert newest.text is not None and first.text is not None
    assert newest.text.number == newest.advice[0].number == max(a.number for a in newest.advice)
    assert first.text.number == 0
    assert "SPACE" in first.text.prompt and json.loads(first.text.reply)["points"]
    assert first.text.rationale == "known <b>"
    of_first = next(a for a in first.advice if a.number == 0)
    assert of_first.used_by and study.trials[of_first.used_by[0]].sampler == "llm"


def test_a_filter_of_the_page_changes_no_hit(chart: Chart) -> None:
    assert chart(low=0.5).proposers == chart().proposers


def test_figures_say_in_words_what_they_show(chart: Chart) -> None:
    found = chart()
    best, share = proposers_figure(found), share_figure(found)
    assert best.marks[0].name.startswith("llm (")
    assert "Lowest value of llm" in best.alt
    assert [m.name for m in share.marks] == ["allowed", "taken, of the last 20 trials"]


def test_several_objectives_have_hits_and_no_single_best() -> None:
    history = History((ObjectiveSpec("a"), ObjectiveSpec("b")))
    trials = [
        TrialRecord(
            n, TrialState.COMPLETE, params=Params({"x": 0.5, "y": 0.5}), sampler="sobol",
            metrics={"a": 3.0 - n, "b": float(n)},
        )
        for n in range(3)
    ]  # fmt: skip
    history.update(trials, 3)
    found = proposers_chart(history, SPACE, history.objectives[0], None, seq=3, most=100)
    (sobol,) = found.proposers
    assert (sobol.n_trials, sobol.hits, sobol.best) == (3, 2, None)
    assert proposers_figure(found).reason
    assert share_figure(found).reason


def test_a_study_without_trials_has_no_proposers() -> None:
    history = History((ObjectiveSpec("a"),))
    found = proposers_chart(history, SPACE, history.objectives[0], None, seq=0, most=100)
    assert (found.proposers, found.text, found.advice) == ((), None, ())
