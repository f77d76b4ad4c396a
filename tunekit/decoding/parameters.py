"""The parameters of a decoding study, and the request that a point of them makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunekit.errors import InvalidArgument
from tunekit.samplers.llm.backends import Message
from tunekit.spaces import Categorical, Float, Int, Params, Space

FIELDS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_completion_tokens",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "repetition_penalty": "repetition_penalty",
    "effort": "reasoning_effort",
}
"""Parameters that are fields of the request."""

INSTRUCTIONS = {
    "reasoning_steps": "Reason in at most {reasoning_steps} numbered steps.",
    "planning_period": "State what is left to do after every {planning_period} steps.",
}
"""Parameters that are sentences of the prompt, unless it has them in braces itself."""

PROMPT = "prompt"
"""The parameter that chooses the prompt."""

PROMPTS = {
    "plain": 'Solve the problem. End with a line "Answer:" and the answer alone.',
}
"""Prompts of a study that is given none."""


def space(
    *,
    prompts: Mapping[str, str] | None = None,
    effort: Sequence[str] = (),
    max_tokens: tuple[int, int] | None = None,
) -> Space:
    """Return the usual space: temperature, top_p, reasoning steps and planning period.

    Its default point is what most endpoints use: temperature 1 and top_p 1, with much room to
    reason.

    Args:
        prompts: name -> text of the prompts to choose from; one alone is not a parameter.
        effort: values of `reasoning_effort` to choose from, for models that have it, such as
            `("low", "medium", "high")`.
        max_tokens: least and most tokens of a reply, to search between.
    """
    nodes: dict[str, object] = {
        "temperature": Float(0.0, 1.0, default=1.0),
        "top_p": Float(0.5, 1.0, default=1.0),
        "reasoning_steps": Int(1, 12, default=12),
        "planning_period": Int(1, 4, default=1),
    }
    if prompts is not None and len(prompts) > 1:
        nodes[PROMPT] = Categorical(list(prompts))
    if effort:
        nodes["effort"] = Categorical(list(effort), ordered=True, default=effort[-1])
    if max_tokens is not None:
        nodes["max_tokens"] = Int(*max_tokens, log=True, default=max_tokens[1])
    return Space(nodes)


def check_parameters(space: Space, prompts: Mapping[str, str]) -> None:
    """Check that every parameter has an effect, and every prompt a text.

    Raises:
        InvalidArgument: one would be ignored, or the choices of `prompt` are not the prompts.
    """
    if not prompts or not all(isinstance(t, str) and t.strip() for t in prompts.values()):
        raise InvalidArgument("prompts: expected a text for each name; give one or more.")
    for parameter in space:
        path = parameter.path
        if path == PROMPT:
            choices = getattr(parameter.domain, "choices", ())
            if set(choices) != set(prompts):
                raise InvalidArgument(
                    f"the parameter prompt chooses from {sorted(map(str, choices))}, but prompts "
                    f"has {sorted(prompts)}; give the same names."
                )
        elif path not in FIELDS and path not in INSTRUCTIONS:
            lacking = [name for name, text in prompts.items() if f"{{{path}}}" not in text]
            if lacking:
                raise InvalidArgument(
                    f"the parameter {path!r} is not a field of a request and does not occur in "
                    f'the prompt {lacking[0]!r}; write "{{{path}}}" into each prompt, or use '
                    f"one of {', '.join([*FIELDS, *INSTRUCTIONS])}."
                )
    if len(prompts) > 1 and PROMPT not in space.by_path:
        raise InvalidArgument(
            f"there are {len(prompts)} prompts but no parameter {PROMPT!r} to choose one; add "
            f"{PROMPT}=Categorical([...]) to the space, or give one prompt."
        )


def request(
    params: Params | Mapping[str, Any], prompts: Mapping[str, str], question: str
) -> tuple[list[Message], dict[str, Any]]:
    """Return the conversation and the fields of the request that asks a question.

    A prompt with `{question}` in it is the whole conversation, another one its system message.
    """
    template = prompts[str(params[PROMPT])] if PROMPT in params else next(iter(prompts.values()))
    sentences = [s for p, s in INSTRUCTIONS.items() if p in params and f"{{{p}}}" not in template]
    text = "\n".join([template, *sentences])
    fields = {}
    for path, value in params.items():
        if path in FIELDS:
            fields[FIELDS[path]] = value
        text = text.replace(f"{{{path}}}", str(value))
    if "{question}" in text:
        return [{"role": "user", "content": text.replace("{question}", question)}], fields
    system = {"role": "system", "content": text}
    return [system, {"role": "user", "content": question}], fields
