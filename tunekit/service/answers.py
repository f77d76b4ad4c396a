"""Writes records as JSON for answers."""

from __future__ import annotations

import json
from typing import Any

from tunekit.storages.codec import to_dict


def written(record: Any) -> str:
    """Return the JSON form of a record, which is ASCII."""
    return json.dumps(to_dict(record), separators=(",", ":"))
