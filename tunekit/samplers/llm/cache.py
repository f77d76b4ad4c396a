"""Keeps replies in a folder, so that the same question is paid for once."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tunekit.checks import shown
from tunekit.errors import InvalidArgument
from tunekit.samplers.llm.backends import MAX_REPLY_CHARS, Answer, Backend, Message

MAX_FOLDER_BYTES = 256 * 2**20
"""Bytes of all kept replies; beyond, the oldest ones are removed."""

MAX_FILE_BYTES = 6 * MAX_REPLY_CHARS + 65_536
"""Bytes of one kept reply; JSON writes a character with up to six."""

_NAME = re.compile(r"[0-9a-f]{64}\.json")


class CachedReplies:
    """A model with an on-disk cache of its replies; a cache hit costs nothing.

    A file holds the reply and the model's name. Its own name is a hash of the question, which is
    not kept. A file that cannot be read counts as absent.

    Args:
        backend: asks the model for replies that are not kept.
        folder: of the replies; it is created.
        identity: what else a reply depends on: the model, its endpoint, the temperature.
        max_bytes: of the folder.

    Raises:
        InvalidArgument: the folder cannot be created.
    """

    def __init__(
        self,
        backend: Backend,
        folder: str,
        *,
        identity: Mapping[str, Any],
        max_bytes: int = MAX_FOLDER_BYTES,
    ) -> None:
        self._backend, self._identity, self._max_bytes = backend, dict(identity), max_bytes
        if not isinstance(folder, str) or not folder or "\0" in folder:
            raise InvalidArgument(f"llm: cache={shown(folder)}, expected the path of a folder.")
        self._folder = Path(folder).expanduser()
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidArgument(
                f"llm: cache={folder!r} is not a usable folder: {error.strerror}; name one "
                "in which this process may write."
            ) from None

    def complete(
        self, messages: Sequence[Message], schema: Mapping[str, Any], *, timeout_s: float
    ) -> Answer:
        """Return the reply, from the folder if it is there; see `Backend.complete`.

        Raises:
            NoAnswer: it is not there, and the model gives none.
        """
        question = [self._identity, [dict(m) for m in messages], dict(schema)]
        text = json.dumps(question, sort_keys=True)
        path = self._folder / f"{hashlib.sha256(text.encode()).hexdigest()}.json"
        kept = _read(path)
        if kept is not None:
            return kept
        answer = self._backend.complete(messages, schema, timeout_s=timeout_s)
        with suppress(OSError):  # a full disk must not cost the reply
            self._keep(path, answer)
        return answer

    def _keep(self, path: Path, answer: Answer) -> None:
        """Write a reply atomically, and evict the oldest ones beyond the size limit."""
        content = json.dumps({"text": answer.text, "model": answer.model}).encode()
        handle, part = tempfile.mkstemp(dir=self._folder, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(part).replace(path)
        except OSError:
            Path(part).unlink(missing_ok=True)
            raise
        found = [(s.st_mtime_ns, s.st_size, p) for p, s in _files(self._folder)]
        excess = sum(size for _, size, _ in found) - self._max_bytes
        for _, size, oldest in sorted(found):
            if excess <= 0:
                return
            oldest.unlink(missing_ok=True)
            excess -= size


def _files(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """Return the kept replies; nothing else in the folder is ever touched."""
    found = []
    for path in folder.iterdir():
        if _NAME.fullmatch(path.name):
            with suppress(FileNotFoundError):  # another process has removed it
                found.append((path, path.stat()))
    return found


def _read(path: Path) -> Answer | None:
    """Return a cached reply, `None` if there is no readable one."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        document = json.loads(content) if len(content) <= MAX_FILE_BYTES else None
        text, model = document["text"], document["model"]  # type: ignore[index]
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return None
    if not isinstance(text, str) or not isinstance(model, str) or len(text) > MAX_REPLY_CHARS:
        return None
    return Answer(text, model[:200], 0, 0, 0.0, 0.0, is_kept=True)
