"""A driver that shares a study: `shared_by_containers.py URL NAME FOLDER`.

Its first trial waits until the other driver runs one, so that each sees a live lease of the other.
"""

import sys
import time
from pathlib import Path

import tunekit as tk

if __name__ == "__main__":
    url, name, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    other = {"one": "two", "two": "one"}[name]

    def objective(trial):
        with (folder / "starts").open("a") as file:
            file.write(f"{trial.number}\n")
        (folder / name).touch()
        while not (folder / other).exists():
            time.sleep(0.01)
        for step in range(20):
            time.sleep(0.02)
            trial.report(float(step), step)
        return trial.suggest_float("x", 0.0, 1.0)

    tk.load_study("s", storage=url).optimize(objective, total_trials=12, progress=False)
