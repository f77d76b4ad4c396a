"""How often a verdict on database knobs is right: `python tests/benchmarks/knob_verdicts.py`.

The server is simulated, as a real one cannot be had a thousand times: each slice and each start of
it has a random effect on the time. A run is an A/A calibration and fresh comparisons of as many
candidates as a tuning run measures anew.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from tables import table

from tests.dbms.simulated import Queries, SimulatedTarget
from tunekit_integrations.dbms.protocol import Calibration, Protocol
from tunekit_integrations.dbms.protocol_options import ProtocolOptions
from tunekit_integrations.dbms.records import Settings

FAST: Settings = {"turbo": True}
OTHER: Settings = {"work": 8}
OPTIONS = ProtocolOptions()


def accepted(
    factor: float, *, slice_sd: float, start_sd: float, has_twin: bool, seed: int, max_rounds: int
) -> tuple[bool, int]:
    """Return whether a run accepts a candidate, and how many comparisons the last one took."""
    target = SimulatedTarget(
        factor=lambda s: factor if s.get("turbo") else 1.0,
        slice_sd=slice_sd,
        start_sd=start_sd,
        bias=0.03 if has_twin else 0.0,
        has_twin=has_twin,
        seed=seed,
    )
    target.snapshot()
    twin = target.clone()
    if twin is not None:
        twin.snapshot()
    protocol = Protocol(target, twin, Queries(), ProtocolOptions(max_rounds=max_rounds))
    protocol.calibrate()
    verdict = protocol.confirm(FAST).verdict
    if not verdict.is_accepted and factor == 1.0:
        verdict = protocol.confirm(OTHER).verdict
    return verdict.is_accepted, verdict.n_rounds


def rate(n: int, factor: float, *, max_rounds: int = OPTIONS.max_rounds, **noise: float) -> str:
    """Return "12 of 400"."""
    wins = 0
    for seed in range(n):
        wins += accepted(
            factor,
            slice_sd=noise["slice_sd"],
            start_sd=noise["start_sd"],
            has_twin=bool(noise["has_twin"]),
            seed=seed,
            max_rounds=max_rounds,
        )[0]
    return f"{wins} of {n}"


def lucky(n: int) -> str:
    """Return how often one passes that was 1.5 times as fast in its trial and is .63 in truth."""
    wins = 0
    for seed in range(n):
        target = SimulatedTarget(
            factor=lambda s: 1 / 0.63 if s.get("turbo") else 1.0,
            luck=lambda s, starts: 0.63 / 1.5 if s.get("turbo") and starts == 1 else 1.0,
            slice_sd=0.01,
            start_sd=0.01,
            seed=seed,
        )
        target.snapshot()
        protocol = Protocol(target, None, Queries(), OPTIONS)
        protocol.calibration = _calibrated(seed)
        protocol.screen(FAST)
        wins += protocol.confirm(FAST).verdict.is_accepted
    return f"{wins} of {n}"


def _calibrated(seed: int) -> Calibration:
    target = SimulatedTarget(slice_sd=0.01, start_sd=0.01, seed=seed + 10_000)
    target.snapshot()
    return Protocol(target, None, Queries(), OPTIONS).calibrate()


def main() -> None:
    """Parse the arguments and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it all run?")
    n = 20 if parser.parse_args().quick else 400
    noises: dict[str, dict[str, float]] = {
        "quiet, two servers": {"slice_sd": 0.01, "start_sd": 0.008, "has_twin": True},
        "quiet, in turns": {"slice_sd": 0.01, "start_sd": 0.008, "has_twin": False},
        "noisy, two servers": {"slice_sd": 0.03, "start_sd": 0.03, "has_twin": True},
        "noisy, in turns": {"slice_sd": 0.03, "start_sd": 0.03, "has_twin": False},
    }
    cases: dict[str, Callable[[dict[str, float]], str]] = {
        "A/A: two candidates, no gain": lambda noise: rate(n, 1.0, **noise),
        "8 % gain, three comparisons": lambda noise: rate(n, 1 / 1.08, max_rounds=3, **noise),
        "8 % gain, up to six": lambda noise: rate(n, 1 / 1.08, **noise),
        "30 % gain, three comparisons": lambda noise: rate(n, 1 / 1.3, max_rounds=3, **noise),
    }
    rows = [[name, *[case(noise) for noise in noises.values()]] for name, case in cases.items()]
    rows.append(["1.5 x in its trial, .63 x in truth", lucky(n), "", "", ""])
    table("Runs that accept a candidate", ["planted", *noises], rows)


if __name__ == "__main__":
    main()
