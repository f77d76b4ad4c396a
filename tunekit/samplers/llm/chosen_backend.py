"""Chooses how a model is reached, and which key may go there."""

from __future__ import annotations

import os

from tunekit.errors import InvalidArgument
from tunekit.samplers.llm.backends import Backend
from tunekit.shown import shown_url

LITELLM = "litellm/"
"""Beginning of the names of models that litellm reaches."""


def backend_of(
    model: str,
    base: str = "",
    *,
    temperature: float,
    per_million: tuple[float, float] | None = None,
) -> Backend:
    """Return the way to a model.

    A key goes to the endpoint that the environment of this process names and to no other, as
    whoever created the study may have named another one.

    Args:
        model: its name, with "litellm/" in front for litellm's name of a model.
        base: URL of an endpoint; empty for the one that the environment names.
        temperature: from 0 to 2.
        per_million: dollars for a million tokens of prompt and of reply.

    Raises:
        InvalidArgument: `model` or `base` cannot be used.
        MissingExtra: a package is not installed.
    """
    if not model.startswith(LITELLM):
        from tunekit.samplers.llm.endpoint import endpoint_of

        return endpoint_of(model, base, temperature=temperature, per_million=per_million)
    from tunekit.samplers.llm.litellm_backend import LiteLLM

    name, base = model.removeprefix(LITELLM), base.rstrip("/")
    is_own = base == os.environ.get("TUNEKIT_LLM_BASE", "").rstrip("/") != ""
    if base and not is_own and not name.startswith("openai/"):
        raise InvalidArgument(
            f"llm: base={shown_url(base)!r} is not the endpoint of this environment, and litellm "
            f'would send it the credentials for "{name}"; set TUNEKIT_LLM_BASE to it, or remove '
            "base."
        )
    key = os.environ.get("TUNEKIT_LLM_KEY", "") if is_own else ""
    return LiteLLM(name, base=base, key=key, temperature=temperature, per_million=per_million)
