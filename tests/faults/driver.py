"""A study's driver as its own process, to be killed: `driver.py URL NAME TRIALS WORKERS`.

With a fifth argument it says that it is ready and waits for a line before it begins.
"""

import sys
import time

import tunekit as tk

SPACE = tk.Space(
    x=tk.Float(-1, 1),
    arm=tk.Categorical({"a": tk.Space(y=tk.Int(1, 100)), "b": None}),
)


def objective(trial):
    # Long enough that a kill meets running trials, short enough for many rounds.
    time.sleep(0.02 * trial.params["x"] ** 2)
    for step in range(3):
        trial.report(trial.params["x"] + step, step)
    return trial.params["x"] ** 2


if __name__ == "__main__":
    url, name, n_trials, workers, *held = sys.argv[1:]
    study = tk.study(name, space=SPACE, storage=url, sampler="random", seed=11, max_retries=1000)
    if held:
        print("ready", flush=True)
        sys.stdin.readline()
    study.optimize(objective, total_trials=int(n_trials), workers=int(workers), lease_s=5)
