"""Both ways to a model over real HTTP: every way in which an endpoint can misbehave."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from importlib.util import find_spec
from typing import Any, TypeAlias

import pytest

from tunekit.errors import InvalidArgument
from tunekit.samplers.llm.backends import MAX_REPLY_CHARS, Answer, Backend, NoAnswer
from tunekit.samplers.llm.endpoint import OpenAIEndpoint
from tunekit.samplers.llm.litellm_backend import LiteLLM
from tunekit.testing.openai_server import Said, running_endpoint

TALK = [{"role": "system", "content": "advise"}, {"role": "user", "content": "x" * 40}]
SCHEMA = {"type": "object"}


Reach: TypeAlias = Callable[..., Backend]
"""URL of an endpoint, options -> the way to its model."""


def by_litellm(base: str, **options: Any) -> Backend:
    return LiteLLM("openai/m", base=base, **options)


def by_own_client(base: str, **options: Any) -> Backend:
    return OpenAIEndpoint("m", base=base, **options)


@pytest.fixture(
    params=[
        pytest.param(by_own_client, id="own client"),
        pytest.param(
            by_litellm,
            id="litellm",
            marks=[
                pytest.mark.xdist_group("litellm"),
                pytest.mark.skipif(find_spec("litellm") is None, reason="needs litellm"),
            ],
        ),
    ]
)
def reach(request: pytest.FixtureRequest) -> Reach:
    found: Reach = request.param
    return found


def ask(reach: Reach, said: Said, *, timeout_s: float = 20.0, **options: Any) -> Answer:
    with running_endpoint(lambda request: said) as endpoint:
        return reach(endpoint.base, **options).complete(TALK, SCHEMA, timeout_s=timeout_s)


def test_it_sends_the_conversation_with_the_schema_and_the_key(reach: Reach) -> None:
    with running_endpoint(lambda request: Said("hello")) as endpoint:
        model = reach(endpoint.base, key="sk-1", temperature=0.25)
        answer = model.complete(TALK, SCHEMA, timeout_s=20)
    assert answer.text == "hello"
    (request,) = endpoint.requests
    assert request["messages"] == TALK
    assert request["temperature"] == 0.25
    assert request["response_format"]["json_schema"]["schema"] == SCHEMA
    assert endpoint.keys == ["Bearer sk-1"]


def test_tokens_are_those_the_endpoint_counted_and_have_their_price(reach: Reach) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 500}
    answer = ask(reach, Said("hello", usage=usage), per_million=(2.0, 10.0))
    assert (answer.prompt_tokens, answer.reply_tokens, answer.tokens) == (1000, 500, 1500)
    assert answer.dollars == pytest.approx(0.007)


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": -5, "completion_tokens": 0}])
def test_tokens_are_estimated_where_the_endpoint_does_not_count(reach: Reach, usage: Any) -> None:
    answer = ask(reach, Said("12345", usage=usage))
    assert (answer.prompt_tokens, answer.reply_tokens) == (12, 2)
    assert answer.dollars is None


def test_a_rate_limit_says_when_to_ask_again(reach: Reach) -> None:
    with pytest.raises(NoAnswer, match=r"status 429: .*slow down") as raised:
        ask(reach, Said("slow down", status=429, headers={"Retry-After": "7"}))
    assert raised.value.may_retry
    assert raised.value.retry_after_s == 7.0


def test_a_rate_limit_can_name_a_date(reach: Reach) -> None:
    after = format_datetime(datetime.now(UTC) + timedelta(seconds=500), usegmt=True)
    with pytest.raises(NoAnswer) as raised:
        ask(reach, Said("slow down", status=429, headers={"Retry-After": after}))
    assert raised.value.retry_after_s is not None
    assert 0.0 <= raised.value.retry_after_s <= 500.0


@pytest.mark.parametrize("after", ["soon", "-1", "nan", "1e99"])
def test_a_retry_after_that_is_no_time_is_ignored(reach: Reach, after: str) -> None:
    with pytest.raises(NoAnswer) as raised:
        ask(reach, Said("x", status=503, headers={"Retry-After": after}))
    assert raised.value.retry_after_s is None


def test_fields_that_a_model_does_not_take_are_left_out_from_then_on() -> None:
    refused = ["temperature", "max_tokens"]  # as OpenAI's reasoning models do

    def answer(request: dict[str, Any]) -> Said:
        for name in refused:
            if name in request:
                error = {"message": f"Unsupported parameter: '{name}'.", "param": name}
                return Said(status=400, body=json.dumps({"error": error}).encode())
        return Said("{}")

    with running_endpoint(answer) as endpoint:
        own = OpenAIEndpoint("m", base=endpoint.base)
        for _ in range(2):
            assert own.complete(TALK, SCHEMA, timeout_s=20).text == "{}"
        assert len(endpoint.requests) == 4
        sent = endpoint.requests[-1]
        assert not {"temperature", "max_tokens"} & set(sent)
        assert sent["max_completion_tokens"] == endpoint.requests[0]["max_tokens"]


def test_a_field_that_is_refused_though_it_was_not_sent_ends_the_request() -> None:
    error = {"message": "no", "param": "temperature"}
    said = Said(status=400, body=json.dumps({"error": error}).encode())
    with running_endpoint(lambda request: said) as endpoint:
        with pytest.raises(NoAnswer, match="no"):
            OpenAIEndpoint("m", base=endpoint.base).complete(TALK, SCHEMA, timeout_s=20)
        assert len(endpoint.requests) == 2


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404])
def test_a_refused_request_is_not_worth_another_attempt(reach: Reach, status: int) -> None:
    with pytest.raises(NoAnswer, match=f"status {status}") as raised:
        ask(reach, Said("no", status=status, headers={"Location": "http://127.0.0.1:1/"}))
    assert not raised.value.may_retry


BODIES = {
    "no JSON": b"<html>",
    "a list": b"[1]",
    "no choices": b"{}",
    "empty choices": b'{"choices": []}',
    "a choice that is a number": b'{"choices": [3]}',
    "a message that is a text": b'{"choices": [{"message": "x"}]}',
    "deep": b"[" * 100_000,
    "bytes": b"\xff\xfe\x00",
    "null": b'{"choices": [{"message": {"content": null}}]}',
    "parts": b'{"choices": [{"message": {"content": [{"type": "text"}]}}]}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_what_is_no_chat_completion_is_no_answer(reach: Reach, body: bytes) -> None:
    with pytest.raises(NoAnswer):
        ask(reach, Said(body=body))


def test_a_refusal_of_the_model_is_told(reach: Reach) -> None:
    message = {"content": None, "refusal": "I cannot\nhelp"}
    body = json.dumps({"choices": [{"message": message}]}).encode()
    with pytest.raises(NoAnswer, match="the model refused: I cannot help"):
        ask(reach, Said(body=body))


def test_an_endless_reply_ends_at_a_size(reach: Reach) -> None:
    with pytest.raises(NoAnswer, match="longer than"):
        ask(reach, Said(body=b"x" * 65_536, is_endless=True))


def test_a_reply_of_many_characters_is_refused(reach: Reach) -> None:
    with pytest.raises(NoAnswer, match=f"longer than {MAX_REPLY_CHARS:,} characters"):
        ask(reach, Said("x" * (MAX_REPLY_CHARS + 1)))


def test_a_silent_endpoint_ends_with_the_time(reach: Reach) -> None:
    released = threading.Event()
    try:
        with running_endpoint(lambda request: Said("late", waits_for=released)) as endpoint:
            model = reach(endpoint.base)
            with pytest.raises(NoAnswer, match="in time") as raised:
                model.complete(TALK, SCHEMA, timeout_s=0.2)
            released.set()
    finally:
        released.set()
    assert raised.value.may_retry


def test_a_trickling_reply_ends_with_the_time(reach: Reach) -> None:
    with pytest.raises(NoAnswer, match="in time") as raised:
        ask(reach, Said(body=b" ", is_endless=True, pause_s=0.02), timeout_s=0.3)
    assert raised.value.may_retry


def test_an_endpoint_that_is_not_there_can_come_back(reach: Reach) -> None:
    model = reach("http://127.0.0.1:9/v1")
    with pytest.raises(NoAnswer, match="cannot be reached") as raised:
        model.complete(TALK, SCHEMA, timeout_s=5)
    assert raised.value.may_retry


def test_the_key_is_in_no_message_and_no_reply(reach: Reach) -> None:
    with pytest.raises(NoAnswer) as raised:
        ask(reach, Said("your key is sk-secret", status=401), key="sk-secret")
    assert "your key is ***" in str(raised.value)
    assert ask(reach, Said("it is sk-secret"), key="sk-secret").text == "it is ***"


def test_a_base_that_is_no_url_is_refused(reach: Reach) -> None:
    with pytest.raises(InvalidArgument, match="expected the URL of an endpoint"):
        reach("localhost:8080")
