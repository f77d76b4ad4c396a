"""Two owners share three workers, 2 to 1, until an urgent study takes them for a while.

Trials are pre-empted at a checkpoint and resume from it. On a cluster, use
`tk.share(executor="ray", resources={"gpu": 1})` and leave the rest unchanged. Run it with
`python examples/shared_cluster.py`; it takes about ten seconds.
"""

import shutil
import time
from collections import Counter
from pathlib import Path

import tunekit as tk

STEPS = 12
SPACE = tk.Space(lr=tk.Float(1e-4, 1.0, log=True))


def train(trial):
    """Simulate training: each step takes a while and saves its state."""
    file, loss, first = trial.checkpoint_dir / "loss", 1.0, 0
    if trial.resumed_from is not None:
        loss, first = float(file.read_text()), trial.resumed_from + 1
        trial.set_user_attr("went_on_after", trial.resumed_from)
    for step in range(first, STEPS):
        time.sleep(0.05)
        loss = 0.8 * loss + 0.2 * abs(trial.params["lr"] - 0.1)
        file.write_text(str(loss))
        trial.report({"loss": loss}, step, checkpoint=True)
    return {"loss": loss}


def open_study(folder, name):
    return tk.study(
        name,
        space=SPACE,
        objectives="loss",
        storage=f"sqlite:///{folder}/studies.db",
        checkpoints=folder / "kept",
        sampler="random",
        seed=1,
    )


def events(study):
    """Yield all events of a study's trials."""
    after = 0
    while page := study.storage.events(study.id, after):
        yield from page
        after = page[-1].seq


def slot_seconds(study, until):
    """Return the total running time of a study's trials up to a point in time."""
    begun, total = {}, 0.0
    for e in events(study):
        if e.kind == "claimed":
            begun[e.number] = e.at
        elif e.kind in ("told", "preempted", "released"):
            start = begun.pop(e.number, e.at)
            total += max(min(e.at, until) - start, 0.0)
    return total


if __name__ == "__main__":
    folder = Path("shared-cluster").absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    ada, bob, urgent = (open_study(folder, name) for name in ("ada", "bob", "urgent"))
    shared = tk.share(3, min_run_s=0.1)

    def arrive(study, trial):
        if trial.number == 5:
            shared.add(urgent, train, n_trials=4, owner="eve", priority=1, quota=2)

    shared.add(ada, train, n_trials=14, owner="ada", weight=2, callbacks=arrive)
    shared.add(bob, train, n_trials=7, owner="bob", weight=1)
    print(f"how the studies ended: {shared.run()}")

    come = min(e.at for e in events(urgent) if e.kind == "claimed")
    both = [slot_seconds(study, come) for study in (ada, bob)]
    print(f"slot-seconds before the urgent study: ada {both[0]:.1f}, bob {both[1]:.1f}")
    for study in (ada, bob, urgent):
        print(f"{study.name}: {slot_seconds(study, float('inf')):.1f} slot-seconds in all")
        gave_way = Counter(e.number for e in events(study) if e.kind == "preempted")
        for trial in (t for t in study.trials if t.number in gave_way):
            after = trial.user_attrs.get("went_on_after")
            goes_on = "started over" if after is None else f"resumed after step {after}"
            print(f"  trial {trial.number} was pre-empted and {goes_on}: {trial.state}")
