"""Tunes the knobs of a database server under a workload and says what is worth changing.

    python examples/knobs/tune.py                          # a small shop in SQLite; no server
    python examples/knobs/tune.py --workload tpch          # TPC-H on a PostgreSQL of its own
    python examples/knobs/tune.py --workload pgbench       # short transactions on one

Servers and files are made in a temporary folder and deleted with it. An own server is tuned by
`tunekit knobs tune postgresql://...`.
"""

from __future__ import annotations

import argparse

from tunekit_integrations.dbms.postgresql.target import PostgreSQLTarget
from tunekit_integrations.dbms.protocol_options import ProtocolOptions
from tunekit_integrations.dbms.sqlite.demo import ShopWorkload
from tunekit_integrations.dbms.sqlite.target import SqliteTarget
from tunekit_integrations.dbms.target import KnobTarget, Workload
from tunekit_integrations.dbms.tuning import tune_knobs
from tunekit_integrations.dbms.workloads.pgbench.workload import Pgbench
from tunekit_integrations.dbms.workloads.tpch.workload import TPCH


def opened(name: str, scale: float) -> tuple[KnobTarget, Workload]:
    """Return a private server with the workload that it is tuned under."""
    if name == "shop":
        return SqliteTarget.provision(), ShopWorkload(items=int(scale * 100_000))
    workload: Workload = (
        TPCH(scale=scale) if name == "tpch" else Pgbench(scale=max(int(scale * 100), 1), clients=4)
    )
    return PostgreSQLTarget.provision(clients=workload.clients), workload


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--workload", choices=("shop", "tpch", "pgbench"), default="shop")
parser.add_argument("--scale", type=float, default=0.1)
parser.add_argument("--trials", type=int, default=8)
args = parser.parse_args()

target, workload = opened(args.workload, args.scale)
try:
    # The fewest comparisons that a verdict may rest on; the default takes more of them.
    options = ProtocolOptions(n_blocks=1, aa_rounds=3, round_blocks=1)
    tuned = tune_knobs(
        target, workload, n_trials=args.trials, options=options, said=print, progress=False
    )
finally:
    target.close()

for candidate in tuned.judged:
    if candidate.confirmation is None:
        print(f"trial {candidate.number} failed when measured again: {candidate.failure}")
        continue
    verdict = candidate.confirmation.verdict
    gain = verdict.gain.as_factor()
    print(
        f"trial {candidate.number}: {verdict.word}, {gain.mean:.2f} times as fast "
        f"[{gain.low:.2f}, {gain.high:.2f}] with {dict(candidate.settings)}"
    )
print("worth changing:", dict(tuned.settings) or "nothing: no significant gain")
