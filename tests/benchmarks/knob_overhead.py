"""Measures what a trial on a database costs besides its workload, and a way back from a bad one.

    python -m tests.benchmarks.knob_overhead --versions 15 18

Seconds of wall clock on private clusters; each row is run several times.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from statistics import median

from tests.dbms.postgresql.bad_configurations import BAD, CARELESS, RAM_KB
from tests.dbms.postgresql.versions import programs_of
from tunekit_integrations.dbms.postgresql import auto_conf
from tunekit_integrations.dbms.postgresql.target import PostgreSQLTarget
from tunekit_integrations.dbms.records import Settings, TargetFailure

RELOAD: list[Settings] = [
    {"work_mem": 8192 + i, "random_page_cost": 1.1 + i / 100, "checkpoint_timeout": 400 + i,
     "effective_cache_size": 3 * 2**20, "max_wal_size": 2048}
    for i in range(10)
]  # fmt: skip
RESTART: list[Settings] = [{**settings, "shared_buffers": 65536} for settings in RELOAD]


def main() -> None:
    """Print the table of each version."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, nargs="+", default=[15])
    for version in parser.parse_args().versions:
        started = time.perf_counter()
        target = PostgreSQLTarget.provision(
            programs=programs_of(version), clients=2, ram_bytes=RAM_KB * 1024
        )
        try:
            print(f"PostgreSQL {version}: provision {time.perf_counter() - started:.2f} s")
            measure(target)
        finally:
            target.close()


def measure(target: PostgreSQLTarget) -> None:
    """Print the rows of one server."""
    target.snapshot()
    show("check of a candidate", [seconds(target.check, s) for s in RELOAD])
    show("reload trial, apply", [seconds(target.apply, s) for s in RELOAD])
    show("value in force read back", [seconds(lambda _: target.in_force(), s) for s in RELOAD])
    applied, back = [], []
    for settings in RESTART:
        applied.append(seconds(target.apply, settings))
        back.append(seconds(target.apply, {}))
    show("restart trial, apply", applied)
    show("restart trial, default back", back)
    show(
        "default back from a bad one", [seconds_to_default(target, s, text) for s, _, text in BAD]
    )
    show("refused before it is tried", [seconds(refused_by(target), s) for s, _, _ in BAD])


def seconds_to_default(target: PostgreSQLTarget, settings: Settings, text: str) -> float:
    """Return the seconds from a server that does not start to one that runs with its default.

    What ALTER SYSTEM refuses is written into the file of the stopped server. Where the server
    starts all the same, it is brought back while it runs.
    """
    careless = PostgreSQLTarget(target._server, catalogue=CARELESS, clients=1)
    snapshot = careless.snapshot()
    texts = {n: str(v) for n, v in settings.items()} | auto_conf.read_settings(text)
    back = {**snapshot.set_values, **{name: None for name in texts}}
    target._server.stop()
    auto_conf.edit(target._server.data_folder, texts)
    with suppress(TargetFailure):
        careless.restart()
    took = seconds(lambda _: careless.revert(replace(snapshot, set_values=back)), settings)
    careless._session.close()
    assert target.health() == ""
    return took


def refused_by(target: PostgreSQLTarget) -> Callable[[Settings], None]:
    """Return a function that checks settings which must be refused."""

    def check(settings: Settings) -> None:
        assert target.check(settings).errors, settings

    return check


def seconds(action: Callable[[Settings], object], settings: Settings) -> float:
    """Return the seconds that an action takes."""
    started = time.perf_counter()
    action(settings)
    return time.perf_counter() - started


def show(what: str, took: list[float]) -> None:
    """Print a row."""
    print(f"  {what:<28} median {median(took):6.3f} s, worst {max(took):6.3f} s of {len(took)}")


if __name__ == "__main__":
    main()
