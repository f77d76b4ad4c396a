"""Checks the correlations of one coordinate against the exponential of each pair."""

import numpy as np
import pytest

from tunekit_surrogates.block_kernel import WIDTH, correlation
from tunekit_surrogates.line_kernel import LineKernel


@pytest.mark.parametrize("length", [0.02, 0.05, 0.3, 10.0])
@pytest.mark.parametrize("trend", [0.0, 0.7])
def test_products_of_factors_are_the_correlations_at_every_length_scale(
    length: float, trend: float
) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random(40) / length, rng.random(30) / length
    expected, _ = correlation(np.subtract.outer(a, b) ** 2, trend, with_slope=False)
    found = LineKernel(a, b, trend=trend, width=WIDTH).rows(slice(0, 40))
    assert found == pytest.approx(expected, abs=1e-11)


def test_some_rows_are_those_of_the_whole() -> None:
    a = np.linspace(0.0, 5.0, 12)
    kernel = LineKernel(a, a, trend=0.5, width=WIDTH)
    assert kernel.rows(slice(3, 7)) == pytest.approx(kernel.rows(slice(0, 12))[3:7], abs=1e-14)


def test_equal_coordinates_correlate_fully() -> None:
    a = np.full(3, 0.4)
    assert LineKernel(a, a, trend=0.5, width=WIDTH).rows(slice(0, 3)) == pytest.approx(1.0)
