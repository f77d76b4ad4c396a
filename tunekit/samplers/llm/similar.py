"""Finds the earlier workloads that resemble a new one, by their profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tunekit.checks import is_number
from tunekit.spaces import Params

Profile: TypeAlias = Mapping[str, float | int | str | bool]
"""What is known of a workload: feature -> number or word, such as {"read_ratio": 0.8}."""


@dataclass(frozen=True, slots=True)
class EarlierWorkload:
    """An earlier workload with what was measured under it.

    Attributes:
        name: of its study.
        profile: its features.
        best: its best point.
        runs: points with their losses, less being better.
    """

    name: str
    profile: Profile
    best: Params
    runs: tuple[tuple[Params, float], ...] = ()


def nearest(
    profile: Profile, workloads: Sequence[EarlierWorkload], k: int
) -> list[EarlierWorkload]:
    """Return the `k` workloads whose profiles are nearest, nearest first; of equals by name."""
    profiles = [profile, *(w.profile for w in workloads)]
    ranked = sorted(workloads, key=lambda w: (distance(profile, w.profile, profiles), w.name))
    return ranked[:k]


def distance(a: Profile, b: Profile, among: Sequence[Profile]) -> float:
    """Return how much two profiles differ, from 0 to 1; a feature that one lacks differs wholly.

    Args:
        a: a profile.
        b: another one.
        among: all profiles; numbers are compared as shares of their range in these.

    Reference: Gower, 1971, "A general coefficient of similarity and some of its properties".
    """
    features = sorted({*a, *b})
    if not features:
        return 0.0
    return sum(_difference(f, a, b, among) for f in features) / len(features)


def _difference(feature: str, a: Profile, b: Profile, among: Sequence[Profile]) -> float:
    x, y = a.get(feature), b.get(feature)
    if not is_number(x) or not is_number(y):
        return 0.0 if x is not None and x == y else 1.0
    known = [float(v) for p in among if is_number(v := p.get(feature))]
    width = max(known) - min(known)
    return abs(x - y) / width if width > 0.0 else 0.0
