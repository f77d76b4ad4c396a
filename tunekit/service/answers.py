"""Writes records as JSON for answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tunekit.storages.codec import to_dict
from tunekit.storages.http.messages import MAX_ANSWER_BYTES


def written(record: Any) -> str:
    """Return the JSON form of a record, which is ASCII."""
    return json.dumps(to_dict(record), separators=(",", ":"))


def fitted(build: Callable[[int], Any], most: int) -> str:
    """Return the JSON form of `build(n)` for the largest tried `n <= most` that fits an answer."""
    text = written(build(most))
    while len(text) > MAX_ANSWER_BYTES and most > 1:
        most = max(1, int(0.9 * most * MAX_ANSWER_BYTES / len(text)))
        text = written(build(most))
    return text
