"""Stoppers on the command line and in a study file, and their audit."""

from __future__ import annotations

import yaml

CURVE = """
import tunekit as tk

space = tk.Space(x=tk.Float(0, 1))


def objective(trial):
    for step in range(8):
        trial.report(trial.params["x"] + 1 / (step + 1), step)
    return trial.params["x"]
"""

WORDS = ("run", "curve.py:objective", "--space", "curve.py:space", "--sampler", "random")


def test_a_run_stops_trials_and_its_audit_says_what_that_cost(cli, folder, answer):
    (folder / "curve.py").write_text(CURVE)
    result = cli(
        *WORDS, "-n", "16", "--seed", "1", "--stopper", "threshold,asha", "--audit", "0.4"
    )
    assert result.exit_code == 0, result.stderr
    (row,) = answer("studies", "ls")["studies"]
    assert row["stopped"] > 0
    assert answer("studies", "show", "curve")["study"]["stopper"] == "threshold, asha"
    text = cli("studies", "audit", "curve").stdout
    assert f"stopped          {row['stopped']}\n" in text
    audit = answer("studies", "audit", "curve")["audit"]
    assert audit["stopped"] == row["stopped"]
    assert audit["audited"] > 0
    assert audit["false_stop_rate"] == 0.0
    assert 0 < audit["saved"] < 1
    assert cli("studies", "audit", "curve", "--tolerance", "-1").exit_code == 2


def test_a_study_file_names_stoppers_and_their_options(cli, folder, answer):
    (folder / "curve.py").write_text(CURVE)
    study = {
        "name": "filed",
        "objective": "curve.py:objective",
        "space": "curve.py:space",
        "trials": 12,
        "sampler": "random",
        "seed": 1,
        "stopper": ["threshold", "asha"],
        "stopper_options": {"asha": {"eta": 4, "min_resource": 2}},
        "audit": 0.0,
    }
    (folder / "tunekit.yaml").write_text(yaml.safe_dump(study))
    assert cli("run").exit_code == 0
    stopped = answer("trials", "ls", "filed", "--state", "stopped")["trials"]
    assert stopped
    shown = answer("trials", "show", "filed", str(stopped[0]["number"]))["trial"]
    assert (shown["stop_evidence"]["eta"], shown["stop_evidence"]["stopper"]) == (4, "asha")


def test_options_of_an_unknown_stopper_are_refused(cli, folder):
    (folder / "curve.py").write_text(CURVE)
    result = cli(*WORDS, "-n", "2", "--stopper", "ahsa")
    assert result.exit_code == 2
    assert 'did you mean "asha"' in result.stderr
