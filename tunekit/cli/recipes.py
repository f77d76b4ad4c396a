"""Stores the recipe with which `tunekit resume` runs a study again, and verifies its author.

The recipe says what to execute, and others may write to the database that stores it. It is
therefore sealed with a key that only this user on this machine can read. A recipe with another
seal is shown, and runs only after the user confirms.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunekit.errors import InvalidArgument

KEY_BYTES = 32


def sealed(recipe: Mapping[str, Any], study: str) -> dict[str, Any]:
    """Return the recipe with its seal, or without one if no key can be stored."""
    key = _key(may_make=True)
    return {**recipe, "seal": "" if key is None else _seal(recipe, study, key)}


def is_own(recipe: Mapping[str, Any], study: str) -> bool:
    """Return whether this user wrote the recipe for this study on this machine."""
    key, seal = _key(may_make=False), recipe.get("seal")
    if key is None or not isinstance(seal, str):
        return False
    return hmac.compare_digest(seal.encode(), _seal(recipe, study, key).encode())


def checked_recipe(found: object, study: str) -> Mapping[str, Any]:
    """Return a stored recipe.

    Raises:
        InvalidArgument: the stored value is not a recipe.
    """
    if (
        isinstance(found, Mapping)
        and isinstance(found.get("folder"), str)
        and isinstance(found.get("settings"), Mapping)
    ):
        return found
    raise InvalidArgument(
        f'the study "{study}" has the recipe {str(found)[:60]!r}, expected one written by '
        f"`tunekit run`; start it again with `tunekit run --name {study} ...`."
    )


def described(recipe: Mapping[str, Any]) -> str:
    """Describe in a few lines what the recipe runs, and where."""
    lines = [f"  in {recipe['folder']}"]
    lines += [f"  {k}: {json.dumps(v)}" for k, v in sorted(recipe["settings"].items())]
    return "\n".join(lines)


def key_file() -> Path:
    """Return the path of this user's key, in the folder for program state."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "tunekit" / "recipe.key"


def _seal(recipe: Mapping[str, Any], study: str, key: bytes) -> str:
    content = {"study": study, "folder": recipe["folder"], "settings": recipe["settings"]}
    text = json.dumps(content, sort_keys=True)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _key(*, may_make: bool) -> bytes | None:
    """Return the key, or `None` if there is none that only this user can read."""
    path = key_file()
    try:
        if may_make and not path.exists():
            _make_key(path)
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            is_private = state.st_uid == os.getuid() and not state.st_mode & 0o077
            key = file.read(KEY_BYTES + 1) if is_private and stat.S_ISREG(state.st_mode) else b""
    except (OSError, RuntimeError):  # the home folder is missing or read-only
        return None
    return key if len(key) == KEY_BYTES else None


def _make_key(path: Path) -> None:
    """Write a new key atomically; of two concurrent processes, the first wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        os.link(partial, path)
    except FileExistsError:
        pass
    finally:
        partial.unlink()
