"""Keeps answers of the service between the runs of a page, within a bound of bytes.

An entry belongs to who asked for it: the key starts with what identifies the caller and with what
the service permits them, so that no two users share one and a changed right starts a fresh cache.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

MAX_BYTES = 64 * 2**20
"""Bytes of the JSON forms of all kept answers together."""

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer as it was read.

    Attributes:
        record: the answer; nobody changes it.
        etag: to ask whether it still holds; empty for none.
        cursor: number of the study's last event when it was read; `None` outside of studies.
        size: bytes of its JSON form.
    """

    record: Any
    etag: str
    cursor: int | None
    size: int


class AnswerCache:
    """Keeps the answers that were used last; safe for threads.

    Args:
        max_bytes: of all answers together.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self._kept: OrderedDict[Key, KeptAnswer] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, key: Key) -> KeptAnswer | None:
        """Return the answer of a key."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def keep(self, key: Key, answer: KeptAnswer) -> None:
        """Keep an answer, evicting the least recently used ones to make room."""
        with self._lock:
            before = self._kept.pop(key, None)
            self._size += answer.size - (before.size if before else 0)
            self._kept[key] = answer
            while self._size > self.max_bytes:
                self._size -= self._kept.popitem(last=False)[1].size
