"""A driver of two studies on two slots, the urgent one coming later: `sharing.py URL ROOT`.

Each step is saved; a state is its steps, so that a lost or doubled one would be noticed.
"""

import sys
import time
from pathlib import Path

import tunekit as tk

SPACE = tk.Space(x=tk.Float(0, 1))
STEPS = 5
CALM, URGENT = 8, 4


def objective(trial):
    kept = trial.checkpoint_dir / "steps"
    steps = [int(s) for s in kept.read_text().split()] if kept.exists() else []
    first = 0 if trial.resumed_from is None else trial.resumed_from + 1
    assert steps == list(range(first)), (steps, first)
    for step in range(first, STEPS):
        time.sleep(0.05)  # so that a kill or the urgent study meets running trials
        steps.append(step)
        kept.write_text(" ".join(map(str, steps)))
        trial.report(trial.params["x"] + 1 / (step + 1), step, checkpoint=True)
    return trial.params["x"]


def study(name, url, root):
    return tk.study(
        name, space=SPACE, storage=url, sampler="random", seed=5, max_retries=1000,
        checkpoints=Path(root),
    )  # fmt: skip


def run(url, root):
    shared = tk.share(2, min_run_s=0)
    calm, urgent = study("calm", url, root), study("urgent", url, root)

    def arrive(_, trial):
        if "urgent" not in arrived:
            arrived.append("urgent")
            shared.add(urgent, objective, total_trials=URGENT, priority=1, lease_s=5)

    arrived = []
    if urgent.trials:  # it had come before the last driver was killed
        arrive(None, None)
    shared.add(calm, objective, total_trials=CALM, callbacks=arrive, lease_s=5)
    return shared.run()


if __name__ == "__main__":
    endings = run(*sys.argv[1:])
    assert set(endings.values()) == {"done"}, endings
