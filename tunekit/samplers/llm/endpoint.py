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

from tunekit.errors import MissingExtra
from tunekit.samplers.llm.backends import Answer, Message, NoAnswer, Unanswered, check_base
from tunekit.samplers.llm.chat_completion import (
    MAX_BODY_BYTES,
    MAX_SAID,
    Unusable,
    add_bill,
    answer_of,
    fields_of,
    refusal,
)
from tunekit.samplers.llm.error_bodies import ErrorBody, error_body

if TYPE_CHECKING:
    import httpx2

OPENAI = "https://api.openai.com/v1"

OPTIONAL: Mapping[str, str] = {
    "max_tokens": "max_completion_tokens",
    "temperature": "",
    "response_format": "",
}
"""Fields that some models refuse, such as those that reason, and what takes their place."""


class _FieldRefused(NoAnswer):
    """The endpoint does not take a field for this model."""

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name


class OpenAIEndpoint:
    """A model behind an OpenAI-compatible endpoint.

    Args:
        model: name of the model.
        base: URL up to `/v1`, such as "http://localhost:11434/v1".
        key: API key, empty for none; never shown or stored.
        temperature: from 0 (always the likeliest word) to 2.
        per_million: dollars for a million tokens of prompt and of reply, if known.

    Raises:
        InvalidArgument: `base` is not an http or https URL.
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
        check_base(base)
        try:
            import httpx2
        except ImportError:
            raise MissingExtra("llm", "a language model behind an endpoint") from None
        self.model = model
        self._temperature, self._per_million = temperature, per_million
        self._secrets = [key] if key else []
        self._refused: set[str] = set()  # fields of OPTIONAL
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
        return self.chat(messages, fields_of(schema, self._temperature), timeout_s=timeout_s)

    def chat(
        self, messages: Sequence[Message], fields: Mapping[str, Any], *, timeout_s: float
    ) -> Answer:
        """Return the reply to a request with any further fields.

        A field that the endpoint refuses for this model is left out from then on.

        Raises:
            Unanswered: the model replies with nothing, too much, or a refusal.
            NoAnswer: the endpoint is away, slow, refuses, or sends something else.
        """
        began = time.monotonic()
        body = {
            **self._taken(fields),
            "model": self.model,
            "messages": [dict(m) for m in messages],
        }
        received = bytearray()
        document: object = None
        try:
            self._post(body, received, deadline=began + timeout_s)
            document = _document(received)
            return answer_of(
                document,
                messages,
                model=self.model,
                per_million=self._per_million,
                seconds=time.monotonic() - began,
                secrets=self._secrets,
            )
        except (Unusable, Unanswered) as none:
            add_bill(none, document, messages, len(received), self._per_million)
            raise
        except _FieldRefused as refused:
            if refused.name not in body:
                raise
            self._refused.add(refused.name)
            left = max(began + timeout_s - time.monotonic(), 0.001)
            return self.chat(messages, fields, timeout_s=left)

    def _taken(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields as far as the endpoint takes them, under its names."""
        taken = {n: v for n, v in fields.items() if n not in self._refused}
        renamed = {OPTIONAL[n]: v for n, v in fields.items() if n in self._refused and OPTIONAL[n]}
        return taken | renamed

    def _post(self, body: Mapping[str, Any], received: bytearray, *, deadline: float) -> None:
        """Add the body of the response to `received`.

        Raises:
            Unusable: it is too long, or does not end in time.
            NoAnswer: there is none.
        """
        import httpx2

        left = max(deadline - time.monotonic(), 0.001)
        try:
            with self._client.stream("POST", self._url, json=body, timeout=left) as response:
                for part in response.iter_bytes():  # as they come: a size would wait for it
                    received += part
                    if len(received) > MAX_BODY_BYTES:
                        raise Unusable(f"the reply is longer than {MAX_BODY_BYTES:,} bytes.")
                    if time.monotonic() > deadline:
                        raise Unusable("the reply did not end in time.", may_retry=True)
        except httpx2.ConnectTimeout:
            raise NoAnswer("the endpoint cannot be reached in time.", may_retry=True) from None
        except httpx2.TimeoutException:
            raise Unusable("the model did not answer in time.", may_retry=True) from None
        except httpx2.HTTPError as error:
            raise NoAnswer(
                f"the endpoint cannot be reached: {type(error).__name__}.", may_retry=True
            ) from None
        if response.status_code != 200:
            raise _refusal(response, bytes(received), self._secrets)


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
        InvalidArgument: `base` is not an http or https URL.
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


def _document(content: bytearray) -> object:
    """Return the JSON that an endpoint sent."""
    try:
        document: object = json.loads(content)
    except (ValueError, RecursionError):
        raise Unusable("the endpoint sent something that is not JSON.", may_retry=True) from None
    return document


def _refusal(response: httpx2.Response, content: bytes, secrets: Sequence[str]) -> NoAnswer:
    """Return why an endpoint refused a request."""
    error = error_body(content) or ErrorBody()
    said = error.said or content[: 4 * MAX_SAID].decode("utf-8", "replace")
    after = response.headers.get("Retry-After", "")
    found = refusal(response.status_code, said, after, secrets, is_final=error.is_final)
    if response.status_code == 400 and error.param in OPTIONAL:
        return _FieldRefused(str(found), error.param)
    return found
