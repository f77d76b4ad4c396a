"""Decides whether a reply holds the right answer."""

from __future__ import annotations

import math
import re
from decimal import Decimal, InvalidOperation

_NUMBER = re.compile(r"-?\$?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?")
_MARKED = re.compile(r"(?:####|(?i:final answer|answer)\s*(?:is)?\s*[:=])\s*([^\n]+)")
_BOXED = re.compile(r"\\boxed\{([^{}]*)\}")


def is_correct(reply: str, answer: str) -> bool:
    r"""Return whether a reply ends in the answer.

    A final answer is what follows the last `####` or `Answer:`, or stands in `\boxed{}`; without
    these it is the last number of the reply for a numeric answer, else its last line. Numbers are
    compared by value, texts without regard to case, spaces and a full stop at the end.
    """
    marked = [*_BOXED.findall(reply), *_MARKED.findall(reply)]
    wanted = _number(answer)
    if wanted is None:
        lines = [line for line in reply.splitlines() if line.strip()]
        return any(_plain(text) == _plain(answer) for text in (marked[-1:] or lines[-1:]))
    numbers = _NUMBER.findall(marked[-1] if marked else reply)
    found = _number(numbers[0 if marked else -1]) if numbers else None
    return found is not None and (found == wanted or math.isclose(found, wanted, rel_tol=1e-9))


def _number(text: str) -> Decimal | None:
    try:
        found = Decimal(text.strip().replace(",", "").replace("$", ""))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _plain(text: str) -> str:
    return " ".join(text.strip().strip("*").rstrip(".").split()).casefold()
