"""New random identifiers and seeds, from the operating system.

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
