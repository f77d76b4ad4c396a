"""A study survives whatever an endpoint sends: no exception, no invalid point, no overspending."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tunekit as tk
from tests.samplers.llm.hostile_replies import REPLIES, SPACE, corpus, vendor_corpus
from tunekit.samplers.llm.past_advice import advices, spent
from tunekit.samplers.llm.sampler import LLMSampler
from tunekit.samplers.random import RandomSampler
from tunekit.testing.openai_server import RunningEndpoint, Said, running_endpoint

ROUNDS = int(os.environ.get("TUNEKIT_FAULT_ROUNDS", "2"))
EACH = 12
"""Studies in one round, of three replies at least: `make faults` sends more than 1,000 replies."""

MAX_TOKENS = 1500


class Endpoint:
    """One endpoint for all tests, which answers each request with the next reply."""

    def __init__(self) -> None:
        self.replies: Iterator[Said] = iter(())
        self.n_sent = 0
        self.running: RunningEndpoint | None = None

    def __call__(self, request: dict[str, Any]) -> Said:
        self.n_sent += 1
        return next(self.replies, Said("no more"))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    answering = Endpoint()
    with running_endpoint(answering) as answering.running:
        yield answering


def study_of(endpoint: Endpoint, replies: Sequence[Said], n_trials: int) -> tk.Study:
    """Return a study that has asked while the endpoint sent these replies."""
    assert endpoint.running is not None
    endpoint.replies, endpoint.n_sent = iter(replies), 0
    sampler = LLMSampler(
        model="m",
        base=endpoint.running.base,
        wait_s=60.0,
        timeout_s=60.0,
        retries=1,
        max_tokens=MAX_TOKENS,
        price=(1.0, 1.0),
        arm=RandomSampler(),
    )
    sampler._sleep = lambda seconds: None
    study = tk.study("s", space=SPACE, objectives="loss", sampler=sampler, seed=1)
    study.optimize(lambda trial: float(trial.params["wait"]), n_trials=n_trials)
    return study


def check(endpoint: Endpoint, study: tk.Study, n_trials: int) -> int:
    """Check a study that hostile replies have reached; return how many replies it got."""
    assert [t.state for t in study.trials] == ["complete"] * n_trials
    for trial in study.trials:
        assert SPACE.validate(trial.params) == trial.params
    given_ = advices(study.trials)
    assert spent(given_[:-1]).tokens < MAX_TOKENS
    assert all(a["tokens"] >= 0 for _, a in given_)
    assert all(len(a["reply"]) <= 20_000 for _, a in given_)
    assert all(len(p) < 3000 for _, a in given_ for p in a["problems"])
    assert study.replay() == []
    str(study.llm_report())
    return endpoint.n_sent


CORPUS = corpus() | vendor_corpus()


@pytest.mark.parametrize("name", CORPUS)
def test_a_reply_of_the_corpus_ends_no_study(endpoint: Endpoint, name: str) -> None:
    study = study_of(endpoint, [CORPUS[name]] * 40, 4)
    assert check(endpoint, study, 4) >= 1
    advised = [t for t in study.trials if t.sampler == "llm"]
    assert bool(advised) == name.startswith("usable: ")


@pytest.mark.parametrize(
    ("name", "said", "n_sent"),
    [
        ("OpenAI: no credit", "status 429: You exceeded your current quota", 1),
        ("OpenAI: too many tokens a minute", "status 429: Rate limit reached", 2),
        ("vLLM: flat error", "status 400: max_tokens must be at least 1", 1),
        ("Ollama: no such model, own endpoint", 'status 404: model "m" not found', 1),
        ("LM Studio: another address, status 200", "status 200: Unexpected endpoint", 1),
        ("llama.cpp: still loading", "status 503: Loading model", 2),
        ("Anthropic: overloaded", "status 529: Overloaded", 2),
        ("Gemini: exhausted, in a list", "status 429: Resource has been exhausted", 2),
        ("OpenRouter: its provider failed, status 200", "status 502: Provider returned error", 2),
        ("OpenRouter: limited upstream", "status 429: m is temporarily rate-limited upstream", 2),
    ],
)
def test_the_reason_of_a_provider_is_told_and_asked_again_where_waiting_helps(
    endpoint: Endpoint, name: str, said: str, n_sent: int
) -> None:
    study = study_of(endpoint, [CORPUS[name]] * 40, 1)
    (_, advice), *_ = advices(study.trials)
    assert said in advice["problems"][0]
    assert endpoint.n_sent == n_sent
    assert spent(advices(study.trials)).tokens == 0  # refused, so nobody has paid for it


def test_the_whole_corpus_in_turn_ends_no_study(endpoint: Endpoint) -> None:
    replies = list(CORPUS.values())
    for start in range(0, len(replies), 4):
        turn = itertools.islice(itertools.cycle(replies), start, start + len(replies))
        check(endpoint, study_of(endpoint, list(turn), 6), 6)


@pytest.mark.faults
@settings(
    max_examples=EACH * ROUNDS,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(replies=st.lists(REPLIES, min_size=4, max_size=8))
def test_no_reply_raises_into_a_study_or_exceeds_its_budget(
    endpoint: Endpoint, replies: list[Said]
) -> None:
    assert check(endpoint, study_of(endpoint, replies, 4), 4) >= 1


def always(reply: Said) -> Callable[[dict[str, Any]], Said]:
    return lambda request: reply


@pytest.mark.parametrize(
    "reply",
    [
        Said(
            '{"points": [{"wait": "10 ms"}]}',
            usage={"prompt_tokens": 990, "completion_tokens": 10},
        ),
        Said(" ", usage={"prompt_tokens": 900, "completion_tokens": 0}),
        Said(body=b"<html>"),
    ],
    ids=["to repair", "empty", "no JSON"],
)
def test_unusable_replies_are_paid_for_and_no_attempt_begins_beyond_the_limit(reply: Said) -> None:
    with running_endpoint(always(reply)) as endpoint:
        options = {"model": "m", "base": endpoint.base, "wait_s": 60.0, "max_tokens": 1000}
        sampler = LLMSampler(**options, retries=5, timeout_s=60.0, arm=RandomSampler())
        sampler._sleep = lambda seconds: None
        study = tk.study("s", space=SPACE, sampler=sampler, seed=1)
        study.optimize(lambda trial: 0.0, n_trials=40)
    tokens, n = spent(advices(study.trials)).tokens, len(endpoint.requests)
    each = tokens / n
    assert (n - 1) * each < 1000 <= n * each


def test_a_refused_connection_costs_nothing() -> None:
    with running_endpoint(always(Said("no", status=429))) as endpoint:
        options = {"model": "m", "base": endpoint.base, "wait_s": 60.0, "retries": 0}
        study = tk.study("s", space=SPACE, sampler="llm", sampler_options=options, seed=1)
        study.optimize(lambda trial: 0.0, n_trials=3)
    study.optimize(lambda trial: 0.0, n_trials=3)
    assert len(advices(study.trials)) > 1
    assert spent(advices(study.trials)).tokens == 0
