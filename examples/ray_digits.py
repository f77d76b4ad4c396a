"""Train a network on digits on Ray, with stopping by predicted curves and a killed driver.

The driver of the first run is killed with SIGKILL while trials are running; the second run
resumes from their checkpoints. Two trials share a GPU if there is one. Run it with
`python examples/ray_digits.py`; it needs Ray, torch and scikit-learn and takes about a minute.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

import tunekit as tk

EPOCHS = 24
TRIALS = 16
RESOURCES = {"gpu": 0.5} if torch.cuda.is_available() else {"cpu": 1}
SPACE = tk.Space(
    width=tk.Int(8, 128, log=True),
    dropout=tk.Float(0.0, 0.6),
    optimizer=tk.Categorical(
        {
            "sgd": tk.Space(lr=tk.Float(1e-4, 1.0, log=True), momentum=tk.Float(0.0, 0.95)),
            "adam": tk.Space(lr=tk.Float(1e-5, 0.1, log=True)),
        }
    ),
)


def data(device):
    """Return images and digits for training, validation and the final test."""
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
    rest, held_out = train_test_split(range(len(y)), test_size=0.2, random_state=0, stratify=y)
    fit, tune = train_test_split(rest, test_size=0.25, random_state=0, stratify=y[rest])
    return [(x[part].to(device), y[part].to(device)) for part in (fit, tune, held_out)]


def make(params, device):
    net = nn.Sequential(
        nn.Linear(64, params["width"]),
        nn.ReLU(),
        nn.Dropout(params["dropout"]),
        nn.Linear(params["width"], 10),
    ).to(device)
    if params["optimizer"] == "sgd":
        momentum = params["momentum"]
        return net, torch.optim.SGD(net.parameters(), lr=params["lr"], momentum=momentum)
    return net, torch.optim.Adam(net.parameters(), lr=params["lr"])


def error(net, x, y):
    net.eval()
    with torch.no_grad():
        return (net(x).argmax(1) != y).float().mean().item()


def train(trial):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(trial.seed)
    net, optimizer = make(trial.params, device)
    first, file = 0, trial.checkpoint_dir / "state.pt"
    if trial.resumed_from is not None:
        first = trial.resumed_from + 1
        state = torch.load(file, weights_only=True, map_location=device)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"].cpu())  # dropout continues as without the kill
        trial.set_user_attr("went_on_from", trial.resumed_from)
    (x, y), tune, held_out = data(device)
    for epoch in range(first, EPOCHS):
        net.train()
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(epoch))
        for batch in order.split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
            optimizer.step()
        state = {"net": net.state_dict(), "optimizer": optimizer.state_dict()}
        torch.save({**state, "random": torch.get_rng_state()}, file)
        trial.report({"error": error(net, *tune)}, epoch, checkpoint=True)
    return {"error": error(net, *tune), "held_out": error(net, *held_out)}


def open_study(folder):
    return tk.study(
        "digits-on-ray",
        space=SPACE,
        objectives="error",
        storage=f"sqlite:///{folder}/study.db",
        checkpoints=folder / "kept",
        stopper="curve",
        seed=3,
    )


def run(study):
    study.optimize(train, total_trials=TRIALS, executor="ray", resources=RESOURCES)


def is_under_way(study):
    """Return whether some trials have ended and another is running."""
    trials = study.trials
    ended = sum(t.state.is_finished for t in trials)
    middle = [t for t in trials if t.state == "running" and any(c.step > 5 for c in t.checkpoints)]
    return ended >= 4 and bool(middle)


def tell(study):
    for trial in study.trials:
        went_on = trial.user_attrs.get("went_on_from")
        note = "" if went_on is None else f"  went on from epoch {went_on}"
        n = len(study.reports([trial.number])[trial.number])
        print(f"{trial.number:2} {trial.state:8} {n:2} epochs, {trial.metrics}{note}")
    stopped = [t for t in study.trials if t.state == "stopped"]
    # The first trials are stopped by rank alone; later reasons also give the chance to be best.
    weighed = [t for t in stopped if t.stop_evidence.get("chance") is not None]
    for trial in sorted(weighed, key=lambda t: t.stop_evidence["chance"])[:1] or stopped[:1]:
        print(f"why trial {trial.number} was stopped: {trial.end_reason}")
        print(f"  {dict(trial.stop_evidence)}")
    print(study.stop_audit())
    best = study.best_trial
    print(
        f"best: trial {best.number}, error {best.metrics['error']:.3f}, with {dict(best.params)}"
    )
    print(f"its error on held-out digits: {best.metrics['held_out']:.3f}")


if __name__ == "__main__":
    folder = Path("digits-on-ray").absolute()
    if "--child" in sys.argv:
        run(open_study(folder))
        sys.exit()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    study = open_study(folder)
    child = subprocess.Popen([sys.executable, __file__, "--child"])  # noqa: S603 - this file
    while child.poll() is None and not is_under_way(study):
        time.sleep(0.1)
    child.kill()
    print(f"the first run ended with {child.wait()} after starting {len(study.trials)} trials")
    run(study)
    tell(study)
