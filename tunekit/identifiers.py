"""Random identifiers and seeds, and digests from which names and random streams are derived.

`uuid` and `secrets` give the same, but load OpenSSL and ask for the platform, which takes longer
than most other imports of a first study.
"""

from __future__ import annotations

import os


def new_id(n_bytes: int = 16) -> str:
    """Return a random identifier of two hexadecimal digits per byte."""
    return os.urandom(n_bytes).hex()


def new_seed() -> int:
    """Return a random seed from 0 to 2^31 - 1."""
    return int.from_bytes(os.urandom(4), "big") >> 1


def digest(data: bytes, *, n_bytes: int) -> bytes:
    """Return the BLAKE2b digest of some bytes, `n_bytes` (1 to 64) long."""
    from hashlib import blake2b  # loads OpenSSL, which most first trials can do without

    return blake2b(data, digest_size=n_bytes).digest()
