"""Maintains the Pareto front of a study with several objectives as results arrive."""

from __future__ import annotations


class KeptFront:
    """Maintains the non-dominated subset of numbered points to minimise, including equal points.

    The front is computed on request. New points are compared with the front only; all points
    are compared again only if a point of the front became worse or was removed.
    """

    def __init__(self) -> None:
        self._points: dict[int, tuple[float, ...]] = {}
        self._front: dict[int, tuple[float, ...]] = {}
        self._changed: set[int] = set()
        self._numbers: list[int] = []

    def put(self, number: int, losses: tuple[float, ...] | None) -> None:
        """Replace the losses of a point; `None` removes the point."""
        if losses == self._points.get(number):
            return
        if losses is None:
            del self._points[number]
        else:
            self._points[number] = losses
        self._changed.add(number)

    def numbers(self) -> list[int]:
        """Return the numbers of the front, ascending."""
        if self._changed:
            self._front = self._updated()
            self._numbers = sorted(self._front)
            self._changed.clear()
        return self._numbers

    def _updated(self) -> dict[int, tuple[float, ...]]:
        candidates = self._points
        if self._changed.isdisjoint(self._front):
            new = {n: self._points[n] for n in self._changed if n in self._points}
            candidates = self._front | new
        if not candidates:
            return {}
        import numpy as np

        from tunekit_surrogates.non_domination import non_dominated

        flags = non_dominated(np.array([*candidates.values()]), equals=True)
        return {n: y for (n, y), is_kept in zip(candidates.items(), flags, strict=True) if is_kept}
