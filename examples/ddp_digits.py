"""Train each trial in two processes with PyTorch's DistributedDataParallel.

Both processes receive the same decision, leave at the same epoch and hold the same weights. Run
it with `python examples/ddp_digits.py`; it needs torch and scikit-learn and takes about half a
minute.
"""

import sys

import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from torch import nn

import tunekit as tk
from tunekit.stoppers.median import MedianStopper
from tunekit_integrations.torch import run_distributed

EPOCHS = 6
SPACE = tk.Space(lr=tk.Float(1e-3, 1.0, log=True), width=tk.Int(8, 64, log=True))


def data(rank, world_size):
    """Return this rank's share of the training digits, and the validation digits."""
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
    return x[400 + rank :: world_size], y[400 + rank :: world_size], x[:400], y[:400]


def distance(net):
    """Return the largest difference between the ranks' weights."""
    own = nn.utils.parameters_to_vector(net.parameters()).detach()
    low, high = own.clone(), own.clone()
    dist.all_reduce(low, dist.ReduceOp.MIN)
    dist.all_reduce(high, dist.ReduceOp.MAX)
    return (high - low).max().item()


def train(trial):  # runs in every rank
    torch.manual_seed(trial.seed)
    width = trial.params["width"]
    net = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))
    net = nn.parallel.DistributedDataParallel(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=trial.params["lr"], momentum=0.9)
    x, y, x_tune, y_tune = data(trial.rank, trial.world_size)
    for epoch in range(EPOCHS):
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(epoch))
        for batch in order.split(16):  # as many in each rank: 699 and 698 digits
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            error = (net.module(x_tune).argmax(1) != y_tune).float().mean().item()
        apart = distance(net)
        try:
            trial.report({"error": error, "apart": apart}, epoch)
        except tk.TrialStopped:
            where = f"trial {trial.number}: rank {trial.rank} leaves after epoch {epoch}"
            print(where, file=sys.stderr)
            raise
    return {"error": error, "apart": apart}


def objective(trial):
    return run_distributed(trial, train, world_size=2)


if __name__ == "__main__":
    study = tk.study(
        space=SPACE,
        objectives="error",
        stopper=MedianStopper(min_reports=2, min_trials=2),
        sampler="sobol",
        seed=4,
    )
    study.optimize(objective, 4, executor="process")
    for t in study.trials:
        error, apart = t.metrics["error"], t.metrics["apart"]
        print(f"{t.number} {t.state:8} error {error:.3f}, weights of the ranks {apart} apart")
    print(f"best error {study.best_value:.3f} with {dict(study.best_params)}")
