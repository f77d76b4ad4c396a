"""Digests of texts, from which names and random streams are derived."""

from __future__ import annotations


def digest(data: bytes, *, n_bytes: int) -> bytes:
    """Return the BLAKE2b digest of some bytes, `n_bytes` (1 to 64) long."""
    from hashlib import blake2b  # loads OpenSSL, which most first trials can do without

    return blake2b(data, digest_size=n_bytes).digest()
