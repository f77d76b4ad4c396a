"""Half a minute of 64 clients, as tests/benchmarks/service_soak.py does for half an hour."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "service_soak.py"


@pytest.mark.faults
@pytest.mark.slow
def test_the_server_does_not_grow_while_64_clients_work() -> None:
    minutes = min(int(os.environ.get("TUNEKIT_FAULT_ROUNDS", "1")) - 0.5, 30)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--minutes", str(minutes)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    told = [int(n) for n in re.findall(r"^ *(\d+) trials", done.stdout, re.MULTILINE)]
    assert told[-1] > told[0] > 0, done.stdout
    growth_mib = float(re.search(r"growth of the second half: ([+-][\d.]+)", done.stdout)[1])
    assert growth_mib < 24 * min(minutes, 1), done.stdout
