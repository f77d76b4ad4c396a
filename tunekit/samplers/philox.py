"""The first numbers of a trial's random stream, without NumPy.

Most proposals of a study's first trials take a few numbers, and loading NumPy for them would take
longer than all the rest. `Philox` gives the numbers that NumPy gives, and goes on with NumPy
where more is asked of it.

Reference: Salmon, Moraes, Dror and Shaw, 2011, "Parallel random numbers: as easy as 1, 2, 3",
section 3.3 (Philox4x64-10). Lemire, 2019, "Fast random integer generation in an interval".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

MASK = (1 << 64) - 1
LOW_HALF = (1 << 32) - 1

MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
KEY_STEPS = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
N_ROUNDS = 10


class Philox:
    """Gives the numbers of `numpy.random.Generator(numpy.random.Philox(key=...))`.

    Args:
        key: two whole numbers, each from 0 to 2^64 - 1.
    """

    def __init__(self, key: tuple[int, int]) -> None:
        self._key = key
        self._counter = 0
        self._block: tuple[int, ...] = (0, 0, 0, 0)
        self._place = 4
        self._half: int | None = None

    def random(self) -> float:
        """Return a number from `[0, 1)`."""
        return (self._next() >> 11) * 2.0**-53

    def integers(self, high: int) -> int:
        """Return a whole number from 0 to `high - 1`, where `high` is 1 to 2^32."""
        if high == 1:
            return 0
        threshold = (1 << 32) % high  # numbers below it would favour some results
        product = self._next_half() * high
        while product & LOW_HALF < threshold:
            product = self._next_half() * high
        return product >> 32

    def to_numpy(self) -> np.random.Generator:
        """Return NumPy's generator, which continues where this one stands."""
        import numpy as np

        bits = np.random.Philox()
        bits.state = {
            "bit_generator": "Philox",
            "state": {
                "counter": np.array([self._counter, 0, 0, 0], dtype=np.uint64),
                "key": np.array(self._key, dtype=np.uint64),
            },
            "buffer": np.array(self._block, dtype=np.uint64),
            "buffer_pos": self._place,
            "has_uint32": int(self._half is not None),
            "uinteger": self._half or 0,
        }
        return np.random.Generator(bits)

    def _next(self) -> int:
        if self._place == 4:
            self._counter += 1
            self._block = _block(self._counter, self._key)
            self._place = 0
        self._place += 1
        return self._block[self._place - 1]

    def _next_half(self) -> int:
        """Return 32 bits: the lower half of the next 64, then the upper."""
        if self._half is not None:
            half, self._half = self._half, None
            return half
        both = self._next()
        self._half = both >> 32
        return both & LOW_HALF


def _block(counter: int, key: tuple[int, int]) -> tuple[int, ...]:
    """Return the four 64-bit numbers of a counter."""
    a, b, c, d = counter, 0, 0, 0
    k, m = key
    for _ in range(N_ROUNDS):
        x, y = MULTIPLIERS[0] * a, MULTIPLIERS[1] * c
        a, b, c, d = (y >> 64) ^ b ^ k, y & MASK, (x >> 64) ^ d ^ m, x & MASK
        k, m = (k + KEY_STEPS[0]) & MASK, (m + KEY_STEPS[1]) & MASK
    return a, b, c, d
