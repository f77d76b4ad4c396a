"""A driver whose trials save checkpoints and pause: `checkpointing.py URL NAME ROOT TRIALS`.

A state is its steps and a payload that must fit them: a torn checkpoint would be noticed.
"""

import sys
import time
from pathlib import Path

import tunekit as tk
from tunekit.records import CONTINUE, Decision

SPACE = tk.Space(x=tk.Float(0, 1))
STEPS = 6
PAYLOAD = 500_000


def read(folder):
    """Return the steps of a state, after a look at whether it is whole."""
    if not any(folder.iterdir()):
        return []
    steps = [int(s) for s in (folder / "steps").read_text().split()]
    for i in range(3):
        assert (folder / f"part-{i}").read_bytes() == bytes([steps[-1]]) * PAYLOAD, "torn"
    return steps


def objective(trial):
    steps = read(trial.checkpoint_dir)
    first = 0 if trial.resumed_from is None else trial.resumed_from + 1
    assert steps == list(range(first)), (steps, first)
    for step in range(first, STEPS):
        steps.append(step)
        time.sleep(0.02)  # so that a kill meets running trials
        for i in range(3):
            (trial.checkpoint_dir / f"part-{i}").write_bytes(bytes([step]) * PAYLOAD)
        (trial.checkpoint_dir / "steps").write_text(" ".join(map(str, steps)))
        trial.report(trial.params["x"] + 1 / (step + 1), step, checkpoint=True)
    return trial.params["x"]


class BetterHalf:
    """Pauses every trial once, from step 2 on, and lets those below 0.5 go on.

    One that dies after the report of step 2 and before its pause is noted goes on at step 3.
    """

    name = "better-half"

    def decide(self, number, view):
        step = view.reports[number][-1].step
        trial = view.history.get(number)
        is_new = trial is None or not trial.is_promoted
        return Decision("pause", "rung at step 2") if step >= 2 and is_new else CONTINUE

    def promote(self, view):
        return {t.number: "below 0.5" for t in view.history.paused() if t.params["x"] < 0.5}


if __name__ == "__main__":
    url, name, root, n_trials = sys.argv[1:]
    study = tk.study(
        name,
        space=SPACE,
        storage=url,
        sampler="random",
        seed=11,
        max_retries=1000,
        stopper=BetterHalf(),
        checkpoints=Path(root),
    )
    study.optimize(objective, total_trials=int(n_trials), workers=2, lease_s=5)
