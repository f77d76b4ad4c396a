"""A thin worker that asks for a trial, says so, and tells it once a file exists.

spooling_worker.py URL STUDY SPOOL GATE
"""

import sys
import time
from pathlib import Path

import tunekit.client

url, name, spool, gate = sys.argv[1:]
client = tunekit.client.connect(url, spool=spool, lease_s=3600.0)
trial = client.study(name).ask()
print("asked", trial.number, flush=True)
trial.report(1, loss=0.5)
while not Path(gate).exists():
    time.sleep(0.005)
trial.tell(trial.params["x"])
