"""Train small networks whose layers are asked one by one, and prune them."""

import optuna
import torch
from optuna.trial import TrialState
from torch import nn, optim

torch.manual_seed(0)
X = torch.randn(64, 8)
Y = (X[:, :4].sum(dim=1) > 0).long()


def define_model(trial):
    layers, n_in = [], 8
    for i in range(trial.suggest_int("n_layers", 1, 3)):
        n_out = trial.suggest_int(f"n_units_l{i}", 4, 32)
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        layers.append(nn.Dropout(trial.suggest_float(f"dropout_l{i}", 0.2, 0.5)))
        n_in = n_out
    return nn.Sequential(*layers, nn.Linear(n_in, 2), nn.LogSoftmax(dim=1))


def objective(trial):
    model = define_model(trial)
    name = trial.suggest_categorical("optimizer", ["Adam", "RMSprop", "SGD"])
    lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    optimizer = getattr(optim, name)(model.parameters(), lr=lr)
    for epoch in range(4):
        optimizer.zero_grad()
        nn.functional.nll_loss(model(X), Y).backward()
        optimizer.step()
        accuracy = (model(X).argmax(dim=1) == Y).float().mean()
        trial.report(accuracy, epoch)
        if trial.should_prune():
            raise optuna.exceptions.TrialPruned()
    return accuracy


study = optuna.create_study(direction="maximize")
study.optimize(objective, n_trials=8, timeout=600)
ended = study.get_trials(states=(TrialState.PRUNED, TrialState.COMPLETE))
print("  Value: ", study.best_trial.value)
assert len(ended) == 8
