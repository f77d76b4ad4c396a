"""The law fitted to runs, and what it predicts."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.surrogates.scaling.surfaces import CELLS, best, grid, losses
from tunekit_surrogates.scaling import ScalingLaw, fit_law


def test_a_law_from_small_cells_holds_on_a_large_one():
    law = fit_law(grid(CELLS))
    rate, batch = best(2e9, 8e10)
    at = law.predict(2e9, 8e10)
    assert at.lr.low90 < rate < at.lr.high90
    assert at.bs.low90 < batch < at.bs.high90
    assert abs(np.log(at.lr.median / rate)) < 0.3


def test_a_law_survives_json():
    law = fit_law(grid(CELLS))
    again = ScalingLaw.from_dict(json.loads(json.dumps(law.to_dict())))
    assert again.predict(1e9, 1e11) == law.predict(1e9, 1e11)


def test_a_far_prediction_says_so():
    law = fit_law(grid(CELLS))
    assert law.predict(4e8, 3e10).cautions == ()
    far = law.predict(4e10, 3e12)
    assert [caution.name for caution in far.cautions] == ["extrapolation"]
    assert far.extrapolation == pytest.approx(4e10 * 3e12 / (4e8 * 4e8 * 80))


def test_a_batch_beside_the_best_has_its_own_loss_and_excess():
    law = fit_law(grid(CELLS))
    free = law.predict(2e9, 8e10)
    assert law.predict(2e9, 8e10, bs=free.bs.median).loss.median == pytest.approx(free.loss.median)
    batch = 30 * best(2e9, 8e10)[1]
    at = law.predict(2e9, 8e10, bs=batch)
    true = [losses(f * at.lr.median, batch, n=2e9, d=8e10) for f in (0.5, 1, 2)]
    least = losses(*best(2e9, 8e10), n=2e9, d=8e10)
    assert at.loss.median / free.loss.median == pytest.approx(true[1] / least, abs=0.02)
    assert at.loss.median > 1.02 * free.loss.median
    assert at.excess_low > -1e-9 and at.excess_high > -1e-9
    assert at.excess_high == pytest.approx(true[2] / true[1] - 1, abs=0.005)
