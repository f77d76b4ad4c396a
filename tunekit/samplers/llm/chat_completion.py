"""Writes requests and reads responses of OpenAI's chat protocol, whoever carries them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from tunekit.samplers.llm.backends import (
    MAX_REPLY_CHARS,
    MAX_REPLY_TOKENS,
    Answer,
    Message,
    NoAnswer,
    Unanswered,
    estimated_tokens,
    price,
)
from tunekit.samplers.llm.error_bodies import error_of
from tunekit.shown import HIDDEN, without_secrets

MAX_BODY_BYTES = 4 * MAX_REPLY_CHARS + 65_536
"""Bytes of a response after which reading ends; JSON may escape each character."""

RETRY_STATUS = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
MAX_SAID = 200
"""Characters of an endpoint's error message that are shown."""

MAX_RETRY_AFTER_S = 1e6


class Unusable(NoAnswer):
    """A model worked on the request, which is paid for."""


def fields_of(schema: Mapping[str, Any], temperature: float) -> dict[str, Any]:
    """Return the fields of a request for one reply that follows a schema."""
    return {
        "temperature": temperature,
        "max_tokens": MAX_REPLY_TOKENS,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "proposals", "schema": dict(schema)},
        },
    }


def answer_of(
    document: object,
    messages: Sequence[Message],
    *,
    model: str,
    per_million: tuple[float, float] | None,
    seconds: float,
    secrets: Sequence[str] = (),
) -> Answer:
    """Return the reply that a chat completion holds.

    Args:
        document: the completion, as read from JSON.
        messages: the conversation.
        model: name of the model, for a completion that names none.
        per_million: dollars for a million tokens of prompt and of reply.
        seconds: that the request took.
        secrets: texts to hide where the reply repeats them.

    Raises:
        Unusable: it is not a chat completion.
        NoAnswer: it is an error.
        Unanswered: the model refused, or the reply is empty or too long.
    """
    text = hidden(_text(document, secrets), secrets)
    assert isinstance(document, Mapping)
    prompt_tokens, reply_tokens = _tokens(document, messages, len(text))
    named = document.get("model")
    return Answer(
        text,
        hidden(named[:MAX_SAID], secrets) if isinstance(named, str) else model,
        prompt_tokens,
        reply_tokens,
        price(prompt_tokens, reply_tokens, per_million),
        seconds,
    )


def add_bill(
    none: NoAnswer,
    document: object,
    messages: Sequence[Message],
    n_received: int,
    per_million: tuple[float, float] | None,
) -> None:
    """Say in a failure what it has cost.

    Args:
        none: the failure.
        document: the completion, if it arrived.
        messages: the conversation.
        n_received: characters that arrived.
        per_million: dollars for a million tokens of prompt and of reply.
    """
    prompt_tokens, reply_tokens = _tokens(document, messages, n_received)
    none.tokens = prompt_tokens + reply_tokens
    none.dollars = price(prompt_tokens, reply_tokens, per_million)


def refusal(
    status: int, said: str, after: str, secrets: Sequence[str] = (), *, is_final: bool = False
) -> NoAnswer:
    """Return why an endpoint refused a request.

    Args:
        status: of the response.
        said: the endpoint's message.
        after: its header Retry-After: seconds or a date, empty for none.
        secrets: texts to hide in the message.
        is_final: whether the same request cannot succeed later, whatever the status says.
    """
    return NoAnswer(
        f"the endpoint answered with status {status}: {shown(said, secrets) or 'no reason given'}",
        may_retry=status in RETRY_STATUS and not is_final,
        retry_after_s=_seconds(after),
    )


def shown(said: str, secrets: Sequence[str] = ()) -> str:
    """Return a message from outside on one line, short and without secrets."""
    return " ".join(hidden(without_secrets(said), secrets).split())[:MAX_SAID]


def hidden(text: str, secrets: Sequence[str]) -> str:
    """Return a text in which no secret stands."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN) if secret else text
    return text


def _seconds(after: str) -> float | None:
    """Return the seconds that a Retry-After header names, `None` for none."""
    try:
        wait_s = float(after)
    except ValueError:
        try:
            date = parsedate_to_datetime(after)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        date = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
        wait_s = max((date - datetime.now(UTC)).total_seconds(), 0.0)
    return wait_s if 0.0 <= wait_s < MAX_RETRY_AFTER_S else None


def _text(document: object, secrets: Sequence[str]) -> str:
    """Return the text of a chat completion."""
    try:
        message = document["choices"][0]["message"]  # type: ignore[index]
        text, refused = message.get("content"), message.get("refusal")
    except (KeyError, IndexError, TypeError, AttributeError):
        error = error_of(document)
        if error is not None:  # gateways send it with status 200
            said, status = error.said, error.status or 200
            raise refusal(status, said, "", secrets, is_final=error.is_final) from None
        raise Unusable("the endpoint sent JSON that is not a chat completion.") from None
    text = _joined(text) if isinstance(text, list) else text
    if not isinstance(text, str) or not text.strip():
        if isinstance(refused, str) and refused:
            raise Unanswered(f"the model refused: {shown(refused, secrets)}")
        raise Unanswered("the model sent an empty reply.", may_retry=True)
    if len(text) > MAX_REPLY_CHARS:
        raise Unanswered(f"the reply is longer than {MAX_REPLY_CHARS:,} characters.")
    return text


def _joined(parts: Sequence[object]) -> str:
    """Return the text of a message in parts, without the thoughts of a model that reasons."""
    texts = [p.get("text") for p in parts if isinstance(p, Mapping) and p.get("type") == "text"]
    return "".join(t for t in texts if isinstance(t, str))


def _tokens(document: object, messages: Sequence[Message], n_reply: int) -> tuple[int, int]:
    """Return the tokens of prompt and reply as counted by the endpoint, else estimates."""
    usage = document.get("usage") if isinstance(document, Mapping) else None
    counted = usage if isinstance(usage, Mapping) else {}
    n_prompt = sum(len(m["content"]) for m in messages)
    return (
        _count(counted.get("prompt_tokens"), n_prompt),
        _count(counted.get("completion_tokens"), n_reply),
    )


def _count(counted: object, n_chars: int) -> int:
    # A count of 0 would let the limits of a study never be reached.
    if isinstance(counted, int) and not isinstance(counted, bool) and 0 < counted < 10**9:
        return counted
    return estimated_tokens(n_chars)
