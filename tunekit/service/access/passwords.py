"""Hashes and checks passwords with argon2id, beside the event loop.

Reference:
    RFC 9106, Argon2 Memory-Hard Function. OWASP Password Storage Cheat Sheet.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tunekit.errors import InvalidArgument, ServiceBusy

T = TypeVar("T")

MIN_LENGTH = 12
MAX_LENGTH = 1000
"""Limits of the length of a password, in characters."""

THREADS = 2
"""Hashes at a time; each takes 64 MiB."""

MAX_WAITING = 32
"""Logins that may wait for a hash; more are refused."""


class Passwords:
    """Hashes passwords, a few at a time.

    Args:
        hasher: parameters of argon2id.
        max_waiting: number of hashes that may wait or run.
    """

    def __init__(
        self, hasher: PasswordHasher | None = None, *, max_waiting: int = MAX_WAITING
    ) -> None:
        self._hasher = hasher or PasswordHasher()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="tunekit-password")
        self._places = threading.BoundedSemaphore(max_waiting)
        self._of_nobody = cache(lambda: self._hasher.hash("the password of nobody"))

    async def hash(self, password: str) -> str:
        """Return the hash of a new password.

        Raises:
            InvalidArgument: it is too short or too long.
            ServiceBusy: too many logins are under way.
        """
        check_password(password)
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Return whether a password is right; for no hash it takes as long as for one.

        Raises:
            ServiceBusy: too many logins are under way.
        """
        if len(password) > MAX_LENGTH:
            password = ""
        return await self._run(lambda: self._matches(stored, password))

    def is_outdated(self, stored: str) -> bool:
        """Return whether a hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown()

    def _matches(self, stored: str | None, password: str) -> bool:
        try:
            right = self._hasher.verify(stored or self._of_nobody(), password)
        except (VerificationError, InvalidHashError, UnicodeEncodeError):
            return False
        return right and stored is not None

    async def _run(self, work: Callable[[], T]) -> T:
        if not self._places.acquire(blocking=False):
            raise ServiceBusy("too many logins at once; try again.", retry_after=2.0)
        running = self._threads.submit(work)
        # Not when the caller goes away: the hash takes its memory until it is done.
        running.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(running)


def check_password(password: str) -> None:
    """Check a new password; the error does not quote it.

    Raises:
        InvalidArgument: it is too short, too long, or holds half a character.
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise InvalidArgument(
            f"password of {len(password)} characters, expected {MIN_LENGTH} to {MAX_LENGTH}."
        )
    if any("\ud800" <= c <= "\udfff" for c in password):
        raise InvalidArgument("the password holds half of a character; send it as UTF-8.")
