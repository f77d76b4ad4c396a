"""Stores the tokens of services in a file that only the user can read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import urlsplit

from tunekit.errors import StorageError


def credentials_file() -> Path:
    """Return the file: `credentials.json` in `$XDG_CONFIG_HOME/tunekit`, else in `~/.config`."""
    root = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return Path(root) / "tunekit" / "credentials.json"


def stored_token(base: str) -> str | None:
    """Return the token stored for a service, `None` if there is none.

    Raises:
        StorageError: the file is damaged.
    """
    token = _read().get(_service(base))
    return token if isinstance(token, str) else None


def known_services() -> list[str]:
    """Return the URLs of the services that a token is stored for.

    Raises:
        StorageError: the file is damaged.
    """
    return sorted(_read())


def store_token(base: str, token: str | None) -> Path:
    """Store a token for a service, or forget it if `None`; return the file."""
    path, tokens = credentials_file(), _read()
    tokens.pop(_service(base), None)
    if token is not None:
        tokens[_service(base)] = token
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(tokens, file, indent=1)
    new.replace(path)
    return path


def _read() -> dict[str, object]:
    path = credentials_file()
    try:
        doc = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        doc = None
    if not isinstance(doc, dict):
        raise StorageError(f"{path} is damaged; delete it and run `tunekit login` again.")
    return doc


def _service(base: str) -> str:
    parts = urlsplit(base)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
