import tunekit as hpo


def objective(trial):
    x = trial.suggest_float("x", -10, 10)
    kind = trial.suggest_categorical("kind", ["square", "shifted"])
    return x**2 if kind == "square" else (x - 2) ** 2 + trial.suggest_int("offset", 0, 5)


study = hpo.study(direction="minimize")
study.optimize(objective, n_trials=100)
print(study.best_params, study.best_value)
