"""Reads what endpoints send in place of a completion: each provider has its own form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

MAX_MESSAGE = 2000
"""Characters of a message that are read."""

FINAL = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
"""Codes of refusals with status 429 that no waiting changes: the account has no credit."""


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What an endpoint says about an error.

    Attributes:
        said: its message, a text from outside; empty if it gives none.
        param: field of the request that it does not take, empty if it names none.
        status: HTTP status that the body names, 0 if it names none.
        is_final: whether the same request cannot succeed later.
    """

    said: str = ""
    param: str = ""
    status: int = 0
    is_final: bool = False


def error_body(content: bytes) -> ErrorBody | None:
    """Return the error that a response reports, `None` if its form is unknown."""
    try:
        return error_of(json.loads(content))
    except (ValueError, RecursionError):
        return None


def error_of(document: object) -> ErrorBody | None:
    """Return the error in a JSON document, `None` if its form is unknown.

    Read are `{"error": {"message": ..., "code": ...}}` (OpenAI, Anthropic, llama.cpp, OpenRouter),
    the same in a list (Gemini), `{"error": "text"}` (Ollama, LM Studio), and
    `{"object": "error", "message": ...}` (older vLLM, Mistral). Within, the most specific message
    counts: OpenRouter's `metadata.raw` is that of the provider behind it.
    """
    if isinstance(document, list) and document:
        document = document[0]
    if not isinstance(document, Mapping):
        return None
    error = document.get("error", document if document.get("object") == "error" else None)
    if isinstance(error, str):
        return ErrorBody(error[:MAX_MESSAGE])
    if not isinstance(error, Mapping):
        return None
    code, kind, param = error.get("code"), error.get("type"), error.get("param")
    status = code if isinstance(code, int) and 400 <= code < 600 else 0
    return ErrorBody(
        _message(error)[:MAX_MESSAGE],
        param if isinstance(param, str) else "",
        status,
        any(isinstance(name, str) and name in FINAL for name in (code, kind)),
    )


def _message(error: Mapping[str, object]) -> str:
    message, metadata = error.get("message"), error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, Mapping) else None
    if isinstance(raw, str) and raw:
        return raw
    if isinstance(message, str):
        return message
    return "" if message is None else json.dumps(message)
