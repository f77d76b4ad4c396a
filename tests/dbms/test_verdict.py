"""Verdicts on gains: what is accepted, and how often wrongly."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.dbms.simulated import Queries, SimulatedTarget
from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.protocol import Protocol
from tunekit_integrations.dbms.protocol_options import ProtocolOptions
from tunekit_integrations.dbms.records import Settings
from tunekit_integrations.dbms.verdict import deviation, interval, judged

FAST: Settings = {"turbo": True}


def protocol(target: SimulatedTarget, **options: float) -> Protocol:
    target.snapshot()
    twin = target.clone()
    if twin is not None:
        twin.snapshot()
    made = ProtocolOptions(**options)  # type: ignore[arg-type]
    return Protocol(target, twin, Queries(), made)


def test_a_gain_of_8_percent_is_found_with_three_comparisons() -> None:
    def factor(settings: Settings) -> float:
        return 1 / 1.08 if settings.get("turbo") else 1.0

    found = 0
    for seed in range(100):
        target = SimulatedTarget(
            factor=factor, slice_sd=0.01, start_sd=0.008, has_twin=True, seed=seed
        )
        under = protocol(target, max_rounds=3)
        under.calibrate()
        confirmed = under.confirm(FAST)
        assert len(confirmed.rounds) == 3
        found += confirmed.verdict.is_accepted
        if confirmed.verdict.is_accepted:
            assert confirmed.verdict.gain.as_factor().mean == pytest.approx(1.08, abs=0.05)
    assert found >= 95


def test_a_lucky_session_is_not_believed_after_restarts() -> None:
    """1.5 times as fast in its first session, 0.63 times in truth."""

    def luck(settings: Settings, n_starts: int) -> float:
        return 1 / 1.5 if settings.get("turbo") and n_starts == 1 else 1.0

    def factor(settings: Settings) -> float:
        return 1 / 0.63 if settings.get("turbo") else 1.0

    # The luck replaces the truth in the session of the screening.
    target = SimulatedTarget(
        factor=factor, luck=lambda s, n: luck(s, n) * (0.63 if n == 1 and s else 1.0)
    )
    under = protocol(target)
    calibrating = SimulatedTarget(factor=factor, slice_sd=0.01)
    under.calibration = protocol(calibrating).calibrate()
    screened = under.screen(FAST)
    assert 1 / screened.time_ratio == pytest.approx(1.5, rel=0.02)
    verdict = under.confirm(FAST).verdict
    assert not verdict.is_accepted
    assert verdict.word == "no significant gain"
    assert verdict.gain.as_factor().mean == pytest.approx(0.63, rel=0.02)


@pytest.mark.parametrize("has_twin", [True, False])
def test_the_default_is_hardly_ever_faster_than_itself(has_twin: bool) -> None:
    """Two candidates a run, as many as are measured again; at most 1 run in 20 may be wrong."""
    n, wrong = 400, 0
    for seed in range(n):
        target = SimulatedTarget(
            slice_sd=0.02,
            start_sd=0.02,
            bias=0.03,
            has_twin=has_twin,
            seed=seed,
        )
        under = protocol(target)
        under.calibrate()
        wrong += any(under.confirm(s).verdict.is_accepted for s in (FAST, {"work": 8}))
    assert wrong <= n / 20


def test_a_steady_drift_hits_default_and_candidate_alike() -> None:
    target = SimulatedTarget(drift=0.05)
    under = protocol(target)
    found = under.calibrate()
    assert found.bias.mean == pytest.approx(0.0, abs=1e-9)


def test_the_bias_of_the_second_server_is_taken_off() -> None:
    target = SimulatedTarget(bias=0.1, slice_sd=0.001, has_twin=True)
    under = protocol(target)
    bias = under.calibrate().bias.mean
    assert bias == pytest.approx(0.1, abs=0.01)
    confirmed = under.confirm(FAST)
    assert confirmed.verdict.gain.mean == pytest.approx(0.0, abs=0.01)
    assert not confirmed.verdict.is_accepted


def test_two_comparisons_are_never_enough() -> None:
    assert not judged([0.5, 0.5], [0.0, 0.001, -0.001, 0.0]).is_accepted
    assert judged([0.5, 0.5, 0.5], [0.0, 0.001, -0.001, 0.0]).is_accepted


def test_a_verdict_without_a_spread_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="at least 2 of each"):
        judged([0.5], [0.0, 0.1])


def test_an_unsteady_candidate_is_judged_by_its_own_spread() -> None:
    calm = [0.0, 0.001, -0.001, 0.0005]
    assert not judged([0.3, -0.1, 0.25], calm).is_accepted
    assert judged([0.151, 0.149, 0.15], calm).is_accepted


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        found = judged(rng.normal(0.1, 0.03, 3).tolist(), rng.normal(0.02, 0.03, 4).tolist())
        held += found.gain.low <= 0.08 <= found.gain.high
    assert 0.94 <= held / 2000 <= 0.995
    one = interval([0.1, 0.2, 0.3])
    assert (one.mean, one.high - one.mean) == pytest.approx((0.2, 4.302653 * 0.1 / math.sqrt(3)))
    assert deviation([1.0, 1.0]) > 0.0
