"""The endpoint's client over real HTTP: every way in which an endpoint can misbehave."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from tunekit.errors import InvalidArgument
from tunekit.samplers.llm.backends import MAX_REPLY_CHARS, Answer, NoAnswer
from tunekit.samplers.llm.endpoint import OpenAIEndpoint
from tunekit.testing.openai_server import Said, running_endpoint

TALK = [{"role": "system", "content": "advise"}, {"role": "user", "content": "x" * 40}]
SCHEMA = {"type": "object"}


def ask(said: Said, *, timeout_s: float = 20.0, **options: Any) -> Answer:
    with running_endpoint(lambda request: said) as endpoint:
        model = OpenAIEndpoint("m", base=endpoint.base, **options)
        return model.complete(TALK, SCHEMA, timeout_s=timeout_s)


def test_it_sends_the_conversation_with_the_schema_and_the_key() -> None:
    with running_endpoint(lambda request: Said("hello")) as endpoint:
        model = OpenAIEndpoint("m", base=endpoint.base, key="sk-1", temperature=0.25)
        answer = model.complete(TALK, SCHEMA, timeout_s=20)
    assert answer.text == "hello"
    (request,) = endpoint.requests
    assert request["messages"] == TALK
    assert request["temperature"] == 0.25
    assert request["response_format"]["json_schema"]["schema"] == SCHEMA
    assert endpoint.keys == ["Bearer sk-1"]


def test_tokens_are_those_the_endpoint_counted_and_have_their_price() -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 500}
    answer = ask(Said("hello", usage=usage), per_million=(2.0, 10.0))
    assert (answer.prompt_tokens, answer.reply_tokens, answer.tokens) == (1000, 500, 1500)
    assert answer.dollars == pytest.approx(0.007)


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": -5, "completion_tokens": True}])
def test_tokens_are_estimated_where_the_endpoint_does_not_count(usage: Any) -> None:
    answer = ask(Said("12345", usage=usage))
    assert (answer.prompt_tokens, answer.reply_tokens) == (12, 2)
    assert answer.dollars is None


def test_a_rate_limit_says_when_to_ask_again() -> None:
    with pytest.raises(NoAnswer, match="status 429: slow down") as raised:
        ask(Said("slow down", status=429, headers={"Retry-After": "7"}))
    assert raised.value.may_retry
    assert raised.value.retry_after_s == 7.0


@pytest.mark.parametrize("after", ["soon", "-1", "nan", "1e99"])
def test_a_retry_after_that_is_no_time_is_ignored(after: str) -> None:
    with pytest.raises(NoAnswer) as raised:
        ask(Said("x", status=503, headers={"Retry-After": after}))
    assert raised.value.retry_after_s is None


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404])
def test_a_refused_request_is_not_worth_another_attempt(status: int) -> None:
    with pytest.raises(NoAnswer, match=f"status {status}") as raised:
        ask(Said("no", status=status, headers={"Location": "http://127.0.0.1:1/"}))
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
def test_what_is_no_chat_completion_is_no_answer(body: bytes) -> None:
    with pytest.raises(NoAnswer):
        ask(Said(body=body))


def test_a_refusal_of_the_model_is_told() -> None:
    message = {"content": None, "refusal": "I cannot\nhelp"}
    body = json.dumps({"choices": [{"message": message}]}).encode()
    with pytest.raises(NoAnswer, match="the model refused: I cannot help"):
        ask(Said(body=body))


def test_an_endless_reply_ends_at_a_size() -> None:
    with pytest.raises(NoAnswer, match="longer than"):
        ask(Said(body=b"x" * 65_536, is_endless=True))


def test_a_reply_of_many_characters_is_refused() -> None:
    with pytest.raises(NoAnswer, match=f"longer than {MAX_REPLY_CHARS:,} characters"):
        ask(Said("x" * (MAX_REPLY_CHARS + 1)))


def test_a_silent_endpoint_ends_with_the_time() -> None:
    released = threading.Event()
    try:
        with running_endpoint(lambda request: Said("late", waits_for=released)) as endpoint:
            model = OpenAIEndpoint("m", base=endpoint.base)
            with pytest.raises(NoAnswer, match="in time") as raised:
                model.complete(TALK, SCHEMA, timeout_s=0.2)
            released.set()
    finally:
        released.set()
    assert raised.value.may_retry


def test_an_endpoint_that_is_not_there_can_come_back() -> None:
    model = OpenAIEndpoint("m", base="http://127.0.0.1:9/v1")
    with pytest.raises(NoAnswer, match="cannot be reached") as raised:
        model.complete(TALK, SCHEMA, timeout_s=5)
    assert raised.value.may_retry


def test_the_key_is_in_no_message() -> None:
    with pytest.raises(NoAnswer) as raised:
        ask(Said("no", status=401), key="sk-secret")
    assert "sk-secret" not in str(raised.value)


def test_a_base_that_is_no_url_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="expected the URL of an endpoint"):
        OpenAIEndpoint("m", base="localhost:8080")
