"""Asks any endpoint that speaks OpenAI's chat protocol: OpenAI, vLLM, Ollama, LM Studio, ...

Reference: https://platform.openai.com/docs/api-reference/chat/create, of which the common part
is used: `model`, `messages`, `temperature`, `max_tokens` and `response_format`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tunekit.errors import InvalidArgument, MissingExtra
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

if TYPE_CHECKING:
    import httpx2

OPENAI = "https://api.openai.com/v1"

MAX_BODY_BYTES = 4 * MAX_REPLY_CHARS + 65_536
"""Bytes of a response after which reading ends; JSON may escape each character."""

RETRY_STATUS = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
MAX_SAID = 200
"""Characters of an endpoint's error message that are shown."""


class OpenAIEndpoint:
    """A model behind an OpenAI-compatible endpoint.

    Args:
        model: name of the model.
        base: URL up to `/v1`, such as "http://localhost:11434/v1".
        key: API key, empty for none; never shown or stored.
        temperature: from 0 (always the likeliest word) to 2.
        per_million: dollars for a million tokens of prompt and of reply, if known.

    Raises:
        InvalidArgument: `base` is no http or https URL.
        MissingExtra: the HTTP client is not installed.
    """

    def __init__(
        self,
        model: str,
        *,
        base: str,
        key: str = "",
        temperature: float = 0.7,
        per_million: tuple[float, float] | None = None,
    ) -> None:
        if not base.startswith(("http://", "https://")):
            raise InvalidArgument(
                f"llm: base={base!r}, expected the URL of an endpoint, such as "
                '"http://localhost:11434/v1".'
            )
        try:
            import httpx2
        except ImportError:
            raise MissingExtra("llm", "a language model behind an endpoint") from None
        self.model = model
        self._temperature, self._per_million = temperature, per_million
        self._url = f"{base.rstrip('/')}/chat/completions"
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # Proxies and credentials of the environment would send prompts elsewhere.
        self._client = httpx2.Client(headers=headers, trust_env=False, follow_redirects=False)

    def complete(
        self, messages: Sequence[Message], schema: Mapping[str, Any], *, timeout_s: float
    ) -> Answer:
        """Return the reply; see `Backend.complete`.

        Raises:
            NoAnswer: the endpoint is away, slow, refuses, or sends something else.
        """
        fields = {
            "temperature": self._temperature,
            "max_tokens": MAX_REPLY_TOKENS,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "proposals", "schema": dict(schema)},
            },
        }
        return self.chat(messages, fields, timeout_s=timeout_s)

    def chat(
        self, messages: Sequence[Message], fields: Mapping[str, Any], *, timeout_s: float
    ) -> Answer:
        """Return the reply to a request with any further fields.

        Raises:
            Unanswered: the model replies with nothing, too much, or a refusal.
            NoAnswer: the endpoint is away, slow, refuses, or sends something else.
        """
        began = time.monotonic()
        body = {**fields, "model": self.model, "messages": [dict(m) for m in messages]}
        said = "".join(m["content"] for m in messages)
        received = bytearray()
        document: dict[str, Any] = {}
        try:
            self._post(body, received, deadline=began + timeout_s)
            document = _document(received)
            text = _text(document)
        except (_Unusable, Unanswered) as none:
            none.tokens, none.dollars = self._bill(document, said, received.decode("latin-1"))[1:]
            raise
        (prompt_tokens, reply_tokens), _, dollars = self._bill(document, said, text)
        model = document.get("model")
        return Answer(
            text,
            model[:200] if isinstance(model, str) else self.model,
            prompt_tokens,
            reply_tokens,
            dollars,
            time.monotonic() - began,
        )

    def _bill(
        self, document: Mapping[str, Any], said: str, text: str
    ) -> tuple[tuple[int, int], int, float | None]:
        """Return the tokens of prompt and reply, of both together, and their price."""
        prompt_tokens = _count(document, "prompt_tokens", said)
        reply_tokens = _count(document, "completion_tokens", text)
        dollars = price(prompt_tokens, reply_tokens, self._per_million)
        return (prompt_tokens, reply_tokens), prompt_tokens + reply_tokens, dollars

    def _post(self, body: Mapping[str, Any], received: bytearray, *, deadline: float) -> None:
        """Add the body of the response to `received`.

        Raises:
            _Unusable: it is too long, or does not end in time.
            NoAnswer: there is none.
        """
        import httpx2

        left = max(deadline - time.monotonic(), 0.001)
        try:
            with self._client.stream("POST", self._url, json=body, timeout=left) as response:
                for part in response.iter_bytes(65_536):
                    received += part
                    if len(received) > MAX_BODY_BYTES:
                        raise _Unusable(f"the reply is longer than {MAX_BODY_BYTES:,} bytes.")
                    if time.monotonic() > deadline:
                        raise _Unusable("the reply did not end in time.", may_retry=True)
        except httpx2.ConnectTimeout:
            raise NoAnswer("the endpoint cannot be reached in time.", may_retry=True) from None
        except httpx2.TimeoutException:
            raise _Unusable("the model did not answer in time.", may_retry=True) from None
        except httpx2.HTTPError as error:
            raise NoAnswer(
                f"the endpoint cannot be reached: {type(error).__name__}.", may_retry=True
            ) from None
        if response.status_code != 200:
            raise _refusal(response, bytes(received))


def endpoint_of(
    model: str,
    base: str = "",
    *,
    temperature: float = 0.7,
    per_million: tuple[float, float] | None = None,
) -> OpenAIEndpoint:
    """Return the model behind an endpoint, with the key that belongs to it.

    A key goes to the endpoint that the environment names and to no other.

    Args:
        model: name of the model.
        base: URL up to `/v1`; by default $TUNEKIT_LLM_BASE, else OpenAI's.
        temperature: from 0 to 2.
        per_million: dollars for a million tokens of prompt and of reply, if known.

    Raises:
        InvalidArgument: `base` is no http or https URL.
        MissingExtra: the HTTP client is not installed.
    """
    named = os.environ.get("TUNEKIT_LLM_BASE", "")
    base = base or named or OPENAI
    key = ""
    if named and base.rstrip("/") == named.rstrip("/"):
        key = os.environ.get("TUNEKIT_LLM_KEY", "")
    elif base.rstrip("/") == OPENAI:
        key = os.environ.get("OPENAI_API_KEY", "")
    return OpenAIEndpoint(
        model, base=base, key=key, temperature=temperature, per_million=per_million
    )


class _Unusable(NoAnswer):
    """A model worked on the request, which is paid for."""


def _document(content: bytes | bytearray) -> dict[str, Any]:
    """Return the JSON object that an endpoint sent."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise _Unusable("the endpoint sent something that is no JSON.", may_retry=True) from None
    if not isinstance(document, dict):
        raise _Unusable("the endpoint sent JSON that is no chat completion.")
    return document


def _refusal(response: httpx2.Response, content: bytes) -> NoAnswer:
    """Return why an endpoint refused a request."""
    status = response.status_code
    said = content[: 4 * MAX_SAID].decode("utf-8", "replace")
    try:
        message = json.loads(content)["error"]["message"]
        said = message if isinstance(message, str) else said
    except (ValueError, RecursionError, KeyError, TypeError):
        pass
    shown = " ".join(said.split())[:MAX_SAID]
    after = response.headers.get("Retry-After", "")
    try:
        wait_s = float(after)
    except ValueError:
        wait_s = -1.0
    return NoAnswer(
        f"the endpoint answered with status {status}: {shown or 'no reason given'}",
        may_retry=status in RETRY_STATUS,
        retry_after_s=wait_s if 0.0 <= wait_s < 1e6 else None,
    )


def _text(document: Mapping[str, Any]) -> str:
    """Return the text of a chat completion."""
    try:
        choice = document["choices"][0]
        message = choice["message"]
        text, refusal = message.get("content"), message.get("refusal")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise _Unusable("the endpoint sent JSON that is no chat completion.") from None
    if not isinstance(text, str) or not text.strip():
        if isinstance(refusal, str) and refusal:
            shown = " ".join(refusal.split())[:MAX_SAID]
            raise Unanswered(f"the model refused: {shown}")
        raise Unanswered("the model sent an empty reply.", may_retry=True)
    if len(text) > MAX_REPLY_CHARS:
        raise Unanswered(f"the reply is longer than {MAX_REPLY_CHARS:,} characters.")
    return text


def _count(document: Mapping[str, Any], key: str, text: str) -> int:
    """Return the tokens that an endpoint counted, else an estimate."""
    usage = document.get("usage")
    counted = usage.get(key) if isinstance(usage, Mapping) else None
    if isinstance(counted, int) and not isinstance(counted, bool) and 0 <= counted < 10**9:
        return counted
    return estimated_tokens(text)
