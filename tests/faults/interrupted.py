"""A study's driver to be interrupted: `interrupted.py URL WORKERS GATE`.

Each trial says "running N" and then waits until the gate file exists.
"""

import os
import sys
import time

import tunekit as tk


def objective(trial):
    os.write(1, f"running {trial.number}\n".encode())
    while not os.path.exists(trial.params["gate"]):
        time.sleep(0.01)
    return 1.0


if __name__ == "__main__":
    url, workers, gate = sys.argv[1:]
    study = tk.study(
        "s", space=tk.Space(gate=gate, x=tk.Float(0, 1)), storage=url, sampler="random", seed=1
    )
    try:
        study.optimize(objective, total_trials=6, workers=int(workers))
    except KeyboardInterrupt:
        sys.exit(130)
