"""Asks a model through litellm, which knows the protocols and prices of many providers."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from tunekit.errors import InvalidArgument, MissingExtra
from tunekit.samplers.llm.backends import Answer, Message, NoAnswer, Unanswered, check_base
from tunekit.samplers.llm.chat_completion import (
    MAX_BODY_BYTES,
    RETRY_STATUS,
    Unusable,
    add_bill,
    answer_of,
    fields_of,
    refusal,
    shown,
)
from tunekit.samplers.llm.litellm_process import the_process

NO_KEY = "none"
"""Key for an endpoint that gets none; litellm would send it that of the provider."""

SECRET_NAMES = ("KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL")
MIN_SECRET = 8
"""Characters from which the value of such a variable is hidden; shorter ones are words."""


class LiteLLM:
    """A model by litellm's name for it, such as "anthropic/claude-haiku-4-5".

    Args:
        model: litellm's name of the model.
        base: URL of an endpoint, empty for the provider's own.
        key: API key for `base`; without a base litellm takes the provider's environment variable.
        temperature: from 0 to 2.
        per_million: dollars for a million tokens of prompt and of reply; by default litellm's.

    Raises:
        InvalidArgument: `model` contains a URL, to which litellm would send a key, or `base` is
            no http or https URL.
        MissingExtra: litellm is not installed.
    """

    def __init__(
        self,
        model: str,
        *,
        base: str = "",
        key: str = "",
        temperature: float = 0.7,
        per_million: tuple[float, float] | None = None,
    ) -> None:
        if find_spec("litellm") is None:
            raise MissingExtra("llm", "a language model through litellm")
        if not model or "://" in model:
            raise InvalidArgument(
                f'llm: model="litellm/{model}", expected litellm\'s name of a model, such as '
                '"litellm/anthropic/claude-haiku-4-5".'
            )
        if base:
            check_base(base)
        self.model = model
        self._place = {"api_base": base, "api_key": key or NO_KEY} if base else {}
        self._key = key
        self._temperature, self._per_million = temperature, per_million

    def complete(
        self, messages: Sequence[Message], schema: Mapping[str, Any], *, timeout_s: float
    ) -> Answer:
        """Return the reply; see `Backend.complete`.

        Raises:
            NoAnswer: the endpoint is away, slow, refuses, or sends something else.
        """
        began = time.monotonic()
        request = {
            "model": self.model,
            **self._place,
            "messages": [dict(m) for m in messages],
            **fields_of(schema, self._temperature),
            "drop_params": True,  # a provider without schemas gets the prompt alone
            "num_retries": 0,
            "max_retries": 0,
        }
        secrets = [*_secrets(), *([self._key] if self._key else [])]
        reply: Mapping[str, Any] = {}
        try:
            reply = the_process(os.getpid()).ask(request, timeout_s=timeout_s)
            if "error" in reply:
                raise _no_answer(reply, secrets)
            answer = answer_of(
                reply["document"],
                messages,
                model=self.model,
                per_million=self._per_million,
                seconds=time.monotonic() - began,
                secrets=secrets,
            )
        except (Unusable, Unanswered) as none:
            n_received = reply.get("n_bytes", 0)
            add_bill(none, reply.get("document"), messages, n_received, self._per_million)
            if self._per_million is None:
                none.dollars = reply.get("dollars")
            raise
        return answer if self._per_million else replace(answer, dollars=reply["dollars"])


def _no_answer(reply: Mapping[str, Any], secrets: Sequence[str]) -> NoAnswer:
    """Return why there is no completion; litellm's own status codes are guesses at times."""
    if reply["is_too_long"]:
        return Unusable(f"the reply is longer than {MAX_BODY_BYTES:,} bytes.")
    if reply["is_late"]:
        return Unusable("the model did not answer in time.", may_retry=True)
    said = f"{reply['error']}: {reply['said']}"
    if reply["status"] == 200:
        return Unusable(f"the endpoint sent no chat completion: {shown(said, secrets)}")
    if reply["status"]:
        return refusal(reply["status"], said, reply["after"], secrets)
    if reply["n_sent"]:
        why = shown(said, secrets)
        return NoAnswer(f"the endpoint cannot be reached: {why}", may_retry=True)
    may_retry = reply["code"] in RETRY_STATUS  # a provider that litellm reaches by other means
    return NoAnswer(f"litellm sent no request: {shown(said, secrets)}", may_retry=may_retry)


def _secrets() -> list[str]:
    """Return the values of the environment that litellm may use as credentials."""
    return [
        value
        for name, value in os.environ.items()
        if len(value) >= MIN_SECRET and any(part in name.upper() for part in SECRET_NAMES)
    ]
