"""Train a small network on digits with checkpoints, early stopping and a killed run.

The first run is killed with SIGKILL; the second resumes from the checkpoints. Run it with
`python examples/checkpoints.py`; it needs torch and scikit-learn and takes about half a minute.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

import tunekit as tk
from tunekit.stoppers.median import MedianStopper

EPOCHS = 20
SPACE = tk.Space(
    lr=tk.Float(1e-4, 1.0, log=True),
    momentum=tk.Float(0.0, 0.95),
    width=tk.Int(8, 128, log=True),
)


def data():
    x, y = load_digits(return_X_y=True)
    parts = train_test_split(x / 16, y, test_size=0.3, random_state=0, stratify=y)
    x_train, x_test = (torch.tensor(p, dtype=torch.float32) for p in parts[:2])
    y_train, y_test = (torch.tensor(p) for p in parts[2:])
    return x_train, y_train, x_test, y_test


def train(trial):
    torch.manual_seed(trial.seed)
    torch.set_num_threads(1)
    p = trial.params
    net = nn.Sequential(nn.Linear(64, p["width"]), nn.ReLU(), nn.Linear(p["width"], 10))
    optimizer = torch.optim.SGD(net.parameters(), lr=p["lr"], momentum=p["momentum"])
    first, file = 0, trial.checkpoint_dir / "state.pt"
    if trial.resumed_from is not None:
        first = trial.resumed_from + 1
        state = torch.load(file, weights_only=True)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        trial.set_user_attr("went_on_from", trial.resumed_from)
    x_train, y_train, x_test, y_test = data()
    for epoch in range(first, EPOCHS):
        order = torch.randperm(len(x_train), generator=torch.Generator().manual_seed(epoch))
        for batch in order.split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x_train[batch]), y_train[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            error = (net(x_test).argmax(1) != y_test).float().mean().item()
        torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict()}, file)
        trial.report({"error": error}, epoch, checkpoint=True)
        if os.environ.get("KILL_AT") == f"{trial.number}.{epoch}":
            os.kill(os.getpid(), signal.SIGKILL)  # simulates a machine that goes down
    return error


def run(folder):
    study = tk.study(
        "digits",
        space=SPACE,
        objectives="error",
        storage=f"sqlite:///{folder}/study.db",
        checkpoints=tk.Checkpoints(folder / "kept", keep_best=1),
        stopper=MedianStopper(min_reports=4, min_trials=3),
        sampler="random",
        seed=7,
    )
    study.optimize(train, total_trials=12)
    return study


if __name__ == "__main__":
    folder = Path("digits-checkpoints").absolute()
    if "--child" in sys.argv:
        run(folder)
        sys.exit()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    killed = subprocess.run(  # noqa: S603 - this very file
        [sys.executable, __file__, "--child"], env={**os.environ, "KILL_AT": "1.12"}
    )
    print(f"the first run ended with {killed.returncode} (killed in trial 1 after epoch 12)")
    study = run(folder)
    for trial in study.trials:
        went_on = trial.user_attrs.get("went_on_from")
        note = "" if went_on is None else f"  went on from epoch {went_on}"
        kept = ", ".join(str(c.step) for c in trial.checkpoints)
        print(f"{trial.number:2} {trial.state:8} checkpoints of epochs {kept}{note}")
    print(f"best error {study.best_value:.3f} with {dict(study.best_params)}")
