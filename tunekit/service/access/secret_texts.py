"""Makes secrets and the digests that stand for them in the database."""

from __future__ import annotations

import hashlib
import secrets

TOKEN = "tk_"  # noqa: S105 - a prefix by which scanners of repositories find leaked tokens
SESSION = "tks_"
INVITATION = "tki_"
SHARE_LINK = "tkl_"


def new_secret(prefix: str) -> str:
    """Return a secret of 256 random bits with a prefix that says what it opens."""
    return prefix + secrets.token_urlsafe(32)


def digest_of(secret: str) -> str:
    """Return the SHA-256 digest of a secret, 64 hexadecimal digits.

    A slow hash would add nothing: nobody can guess 256 random bits.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
