"""What a damaged database may hold: it is read, or refused in one sentence; no traceback."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3

import pytest

import tunekit as tk
from tests.fuzz.odd_values import ROUNDS, mutated
from tunekit.errors import TunekitError
from tunekit.storages.urls import open_storage

TEXTS = {
    "tk_studies": ["spec", "attrs", "state"],
    "tk_spaces": ["space"],
    "tk_trials": ["params", "proposal", "outcome", "user_attrs", "checkpoints", "branch", "state"],
    "tk_reports": ["metrics"],
    "tk_events": ["data"],
}
"""Table -> the columns that hold texts of ours."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Give the file of a study with trials that were complete, stopped, failed, and enqueued."""
    file = tmp_path_factory.mktemp("whole") / "whole.db"
    space = tk.Space(
        x=tk.Float(0, 1), m=tk.Categorical({"a": tk.Space(k=tk.Int(1, 9)), "b": None})
    )
    study = tk.study(
        "s",
        space=space,
        storage=f"sqlite:///{file}",
        sampler="evolution",
        sampler_options={"start": 4},
        stopper="median",
        stopper_options={"min_reports": 1, "min_trials": 1},
        constraints=["mib <= 3"],
        checkpoints=file.parent / "kept",
        attrs={"a": [1, {"b": 2}]},
        seed=1,
    )

    def objective(trial):
        trial.set_user_attr("note", {"n": trial.number})
        if trial.number == 3:
            raise ValueError("three")
        for step in range(3):
            (trial.checkpoint_dir / "s").write_text("s")
            trial.report({"value": trial.params["x"] + step, "mib": 1.0}, step, checkpoint=True)
        return {"value": trial.params["x"], "mib": 2.0}

    study.optimize(objective, n_trials=7, catch=(ValueError,))
    study.enqueue_trial({"x": 0.5, "m": "b"})
    study.storage.close()
    return file


def damage(file, rng):
    """Put a valid JSON text of another shape into one stored text; return where."""
    with sqlite3.connect(file) as db:
        known = {
            name for (name,) in db.execute("select name from sqlite_master where type='table'")
        }
        table = rng.choice(sorted(TEXTS.keys() & known))
        columns = {row[1] for row in db.execute(f"pragma table_info({table})")}
        column = rng.choice([c for c in TEXTS[table] if c in columns])
        rows = db.execute(f"select rowid, {column} from {table}").fetchall()
        rowid, text = rng.choice(rows)
        try:
            document = (
                mutated(json.loads(text), rng) if text else rng.choice([3, [], {}, "x", [1]])
            )
            changed = json.dumps(document)
        except ValueError:  # a state is a word
            changed = rng.choice(["compleet", "", "3", "{}"])
        if rng.random() < 0.1:
            changed = rng.choice(["1,2", "{", "null", "[1]],[[2]", '"', ""])
        db.execute(f"update {table} set {column} = ? where rowid = ?", (changed, rowid))
    db.close()
    return f"{table}.{column} = {changed[:200]}"


def used(url, folder):
    """Do what a person does with a stored study."""
    storage = open_storage(url)
    try:
        storage.list_studies()
        study = tk.load_study("s", storage=storage, checkpoints=folder)
        for trial in study.trials:
            repr(trial), trial.duration_s, trial.is_promoted
        study.reports()
        storage.events(study.id)
        storage.spaces(study.id)
        study.best_trials, study.stop_audit(), study.trials_rows()
        study.ask()
        study.optimize(lambda trial: {"value": 1.0, "mib": 1.0}, n_trials=2, catch=(Exception,))
        study.replay()
        study.set_user_attr("b", 1)
        study.export(folder.parent / "out.json")
    finally:
        storage.close()


def test_valid_json_of_another_shape_is_read_or_refused_in_one_sentence(whole, tmp_path):
    rng = random.Random(5)
    refused = 0
    for k in range(150 * ROUNDS):
        file = tmp_path / "damaged.db"
        shutil.copy(whole, file)
        where = damage(file, rng)
        try:
            used(f"sqlite:///{file}", tmp_path / "kept")
        except TunekitError as error:
            assert str(error), where
            refused += 1
        except Exception as error:
            error.add_note(f"document {k}: {where}")
            raise
        for each in tmp_path.glob("damaged.db*"):
            each.unlink()
    assert refused > 10
