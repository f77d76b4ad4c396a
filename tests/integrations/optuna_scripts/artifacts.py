"""Keep a file with each trial, and fetch that of the best."""

import pathlib

import optuna
from optuna.artifacts import (
    FileSystemArtifactStore,
    download_artifact,
    get_all_artifact_meta,
    upload_artifact,
)

pathlib.Path("store").mkdir()
artifact_store = FileSystemArtifactStore(base_path="store")
storage = "sqlite:///artifacts.db"


def objective(trial):
    x = trial.suggest_float("x", -5, 5)
    pathlib.Path("fit.txt").write_text(str(x))
    upload_artifact(artifact_store=artifact_store, file_path="fit.txt", study_or_trial=trial)
    return x**2


study = optuna.create_study(study_name="demo", storage=storage, load_if_exists=True)
study.optimize(objective, n_trials=4)
meta = get_all_artifact_meta(study.best_trial, storage=study._storage)
download_artifact(
    artifact_store=artifact_store, artifact_id=meta[0].artifact_id, file_path="best.txt"
)
assert float(pathlib.Path("best.txt").read_text()) == study.best_params["x"]
