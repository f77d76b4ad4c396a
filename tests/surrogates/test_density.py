"""Distances to the data, beside those inside the data."""

from __future__ import annotations

import numpy as np
import pytest

from tunekit_surrogates.density import Density


def test_distances_are_means_over_the_three_nearest_others():
    rows = np.array([[0.0], [1.0], [2.0], [3.0]])
    density = Density(rows)
    assert density.own == pytest.approx(sorted([2.0, 4 / 3, 4 / 3, 2.0]))
    assert density.distance(np.array([[10.0]])) == pytest.approx([8.0])
    assert density.rank(np.array([1.0, 1.5, 9.0])) == pytest.approx([0.0, 0.5, 1.0])
    assert density.limit(1.0) == pytest.approx(2.0)


def test_two_rows_are_enough():
    assert Density(np.array([[0.0], [1.0]])).distance(np.array([[2.0], [0.5]])) == pytest.approx(
        [1.0, 0.5]
    )
