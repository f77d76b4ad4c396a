"""A study's driver on a Ray cluster, to be killed: `ray_driver.py URL NAME TRIALS ADDRESS`."""

import os
import sys
import time

import tunekit as tk
from tunekit.executors.ray.executor import RayExecutor

SPACE = tk.Space(x=tk.Float(-1, 1))


def objective(trial):
    trial.set_user_attr("process", os.getpid())
    trial.set_user_attr("worker", os.getppid())
    trial.set_user_attr("node", os.environ.get("NODE", "head"))
    for step in range(3):
        trial.report(trial.params["x"] + step, step)
        time.sleep(0.01)  # long enough that a kill meets running trials
    return trial.params["x"] ** 2


if __name__ == "__main__":
    url, name, n_trials, address = sys.argv[1:]
    study = tk.study(name, space=SPACE, storage=url, sampler="random", seed=11, max_retries=1000)
    study.optimize(
        objective, total_trials=int(n_trials), executor=RayExecutor(address=address), lease_s=5
    )
