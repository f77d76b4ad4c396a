"""`tunekit db`: backups that others can open, damage that is found, studies of Optuna."""

from pathlib import Path

import optuna
import pytest
from click.testing import Result
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

import tunekit as tk
from tunekit.cli.app import app
from tunekit.records import TrialState
from tunekit.storages.sql.integrity import problems
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_database, open_storage


def db(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["db", *map(str, arguments)], prog_name="tunekit")


def objective(trial: tk.Trial) -> float:
    for step in range(3):
        trial.report(trial.params["x"] + step, step)
    return trial.params["x"]


def tuned(url: str, name: str = "bowl") -> tk.Study:
    study = tk.study(name, space={"x": tk.Float(0, 1)}, storage=url, sampler="random", seed=1)
    study.optimize(objective, n_trials=5)
    return study


def content(url: str) -> object:
    storage = open_storage(url)
    parts = (storage.changes, storage.reports, storage.events, storage.spaces)
    found = [(r, *[part(r.id) for part in parts]) for r in storage.list_studies()]
    storage.close()
    return found


def test_a_backup_opens_like_any_storage_and_holds_everything(tmp_path: Path) -> None:
    url = str(tmp_path / "team.db")
    tuned(url)
    made = db("backup", tmp_path / "saved.db", "--storage", url)
    assert made.exit_code == 0, made.stderr
    assert content(str(tmp_path / "saved.db")) == content(url)
    assert [p.name for p in tmp_path.glob("saved*")] == ["saved.db"]
    again = db("backup", tmp_path / "saved.db", "--storage", url)
    assert again.exit_code == 1
    assert "exists" in again.stderr


@pytest.mark.postgres
def test_a_backup_moves_studies_to_postgresql_and_back_where_new_ones_get_new_ids(
    tmp_path: Path, postgres_url: str
) -> None:
    url = str(tmp_path / "team.db")
    tuned(url)
    assert db("restore", url, "--storage", postgres_url).exit_code == 0
    assert content(postgres_url) == content(url)
    tuned(postgres_url, "another")
    made = db("backup", tmp_path / "back.db", "--storage", postgres_url)
    assert made.exit_code == 0, made.stderr
    assert content(str(tmp_path / "back.db")) == content(postgres_url)
    refused = db("restore", url, "--storage", postgres_url)
    assert refused.exit_code == 1
    assert "holds studies or accounts already" in refused.stderr


def test_a_sound_database_passes_the_check(tmp_path: Path) -> None:
    url = str(tmp_path / "team.db")
    tuned(url)
    done = db("check", "--storage", url)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "sound, 1 studies" in done.stderr


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("delete from tk_events where seq = 3", "its log has"),
        ("delete from tk_trials where number = 2", "it has 4 of 5 trials"),
        ("update tk_trials set params = '{' where number = 1", 'study "bowl"'),
        ("update tk_trials set study_id = 9 where number = 4", "belong to no study"),
        ("update tk_trials set seq = 999 where number = 4", "later change"),
        ("update tk_reports set number = 77 where number = 4", "belong to no trial"),
        ("update tk_spaces set space = '[]'", "the space of a study"),
    ],
)
def test_damage_is_found_and_named(tmp_path: Path, damage: str, words: str) -> None:
    url = str(tmp_path / "team.db")
    tuned(url)
    engine = create_engine(f"sqlite:///{url}")
    with engine.begin() as connection:
        connection.execute(text(damage))
    engine.dispose()
    storage = SQLStorage(open_database(url))
    assert words in " ".join(problems(storage))
    storage.close()


def test_a_damaged_database_fails_the_check(tmp_path: Path) -> None:
    url = str(tmp_path / "team.db")
    tuned(url)
    engine = create_engine(f"sqlite:///{url}")
    with engine.begin() as connection:
        connection.execute(text("delete from tk_events where seq = 3"))
    engine.dispose()
    done = db("check", "--storage", url)
    assert done.exit_code == 1
    assert "its log has" in done.stdout


def test_an_optuna_database_comes_with_its_states_and_curves_and_goes_on(tmp_path: Path) -> None:
    source = f"sqlite:///{tmp_path}/optuna.db"
    theirs = optuna.create_study(study_name="old", storage=source)

    def run(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.report(x, 0)
        if trial.number == 2:
            raise optuna.TrialPruned
        return x

    theirs.optimize(run, n_trials=6)
    url = str(tmp_path / "team.db")
    done = db("import-optuna", source, "--storage", url)
    assert done.exit_code == 0, done.stderr
    ours = tk.load_study("old", storage=url)
    assert [t.state for t in ours.trials] == [
        TrialState.STOPPED if n == 2 else TrialState.COMPLETE for n in range(6)
    ]
    assert ours.best_value == theirs.best_value
    ours.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    assert len(ours.trials) == 8
    assert db("import-optuna", source, "--storage", url).exit_code == 2  # it exists
    missing = db("import-optuna", source, "--storage", url, "--study", "odl")
    assert 'did you mean "old"' in missing.stderr


def test_what_is_no_storage_of_optuna_is_refused_in_a_sentence(tmp_path: Path) -> None:
    url = str(tmp_path / "team.db")
    tuned(url)
    for source in (str(tmp_path / "none.log"), f"sqlite:///{url}", "nonsense://ada:pw@host/x"):
        done = db("import-optuna", source, "--storage", tmp_path / "new.db")
        assert done.exit_code == 2, (source, done.stderr)
        assert "Traceback" not in done.stderr
        assert "pw" not in done.stderr
    missing = db("import-optuna", f"sqlite:///{tmp_path}/none.db", "--storage", url)
    assert missing.exit_code == 2 and "none.db is not a file" in missing.stderr
    assert not (tmp_path / "none.db").exists(), "a mistyped name makes no file"
