"""What a sampler needs of a language model: one text for one conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from tunekit.errors import InvalidArgument
from tunekit.shown import shown_url

Message: TypeAlias = Mapping[str, str]
"""One turn of a conversation: `role` ("system", "user" or "assistant") and `content`."""

MAX_REPLY_CHARS = 200_000
"""Longest reply that is read; a longer one is refused as a whole."""

MAX_REPLY_TOKENS = 4096
"""Tokens that a model is allowed for a reply."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's reply and its price.

    Attributes:
        text: the reply; data from outside, never executed.
        model: name of the model, as it calls itself.
        prompt_tokens, reply_tokens: as counted by the endpoint; estimated from the texts, four
            characters a token, where it does not count.
        dollars: price, `None` where it is not known.
        seconds: from the request to the end of the reply, retries included.
        is_kept: whether it was given before and has been kept, so that it cost nothing.
    """

    text: str
    model: str
    prompt_tokens: int
    reply_tokens: int
    dollars: float | None
    seconds: float
    is_kept: bool = False

    @property
    def tokens(self) -> int:
        """Return the tokens of prompt and reply together."""
        return self.prompt_tokens + self.reply_tokens


class NoAnswer(Exception):
    """The model gave no answer; the message is a sentence without secrets.

    Attributes:
        retry_after_s: seconds after which the endpoint wants to be asked again, if it said so.
        may_retry: whether the same request can succeed later.
        tokens: of the prompt and of an unusable reply, which are paid for; 0 where the request
            was refused or did not arrive.
        dollars: their price, `None` where it is not known.
    """

    tokens = 0
    dollars: float | None = None

    def __init__(
        self, message: str, *, may_retry: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.may_retry = may_retry
        self.retry_after_s = retry_after_s


class Unanswered(NoAnswer):
    """The model replied, but with nothing, with too much, or with a refusal."""


class Backend(Protocol):
    """Reaches a language model."""

    def complete(
        self, messages: Sequence[Message], schema: Mapping[str, Any], *, timeout_s: float
    ) -> Answer:
        """Return the model's reply to a conversation.

        Args:
            messages: the conversation.
            schema: JSON schema that the reply should follow; a model may ignore it.
            timeout_s: seconds after which to give up, whatever has arrived.

        Raises:
            NoAnswer: for whatever reason there is none.
        """
        ...


def check_base(base: str) -> None:
    """Check the URL of an endpoint.

    Raises:
        InvalidArgument: it is not an http or https URL.
    """
    if not base.startswith(("http://", "https://")):
        raise InvalidArgument(
            f"llm: base={shown_url(base)!r}, expected the URL of an endpoint, such as "
            '"http://localhost:11434/v1".'
        )


def estimated_tokens(n_chars: int) -> int:
    """Estimate the number of tokens in a text of `n_chars` characters."""
    return -(-n_chars // 4)


def price(
    prompt_tokens: int, reply_tokens: int, per_million: tuple[float, float] | None
) -> float | None:
    """Return the dollars of a reply; `None` without a price list.

    Args:
        prompt_tokens: of the conversation.
        reply_tokens: of the reply.
        per_million: dollars for a million tokens of prompt and of reply.
    """
    if per_million is None:
        return None
    return (prompt_tokens * per_million[0] + reply_tokens * per_million[1]) / 1e6
