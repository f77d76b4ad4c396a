"""What the command line says: sentences, notes, and nothing that a terminal would obey."""

from __future__ import annotations

import csv
import io
import json

import pytest
from rich.console import Console

import tunekit as tk
from tunekit.cli import output
from tunekit.shown import counted

RAW = "a\x1b]0;owned\x07\x9b2J\u202e\ud800"
RUN = ("--sampler", "random", "--space", "train.py:space", "--minimize", "error")


@pytest.fixture
def hostile():
    """A study whose texts hold terminal escapes and half a surrogate."""
    study = tk.study("h", storage="sqlite:///tunekit.db", objectives="error", sampler="random")
    study.set_user_attr(f"k{RAW}", RAW)
    trial = study.ask()
    trial.suggest_categorical("p", [RAW])
    trial.set_user_attr(f"u{RAW}", RAW)
    study.tell(trial, {"error": 1.0, f"m{RAW}": 2.0})
    trial = study.ask()
    study.tell(trial, state="failed", reason=f"broken {RAW}")
    return study


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize(
    "words",
    [
        ("trials", "ls", "h"), ("trials", "show", "h", "0"), ("trials", "show", "h", "1"),
        ("trials", "ls", "h", "--json"), ("trials", "ls", "h", "--format", "yaml"),
        ("trials", "ls", "h", "--format", "csv"), ("studies", "show", "h"),
        ("studies", "show", "h", "--json"), ("studies", "best", "h"),
        ("studies", "best", "h", "--json"), ("studies", "show", f"no{RAW}"),
        ("studies", "show", "h", "--format", "yaml"), ("studies", "best", "h", "--format", "yaml"),
        ("trials", "show", "h", "1", "--format", "yaml"), ("studies", "audit", "h"),
        ("studies", "ls"), ("studies", "ls", "--format", "csv"), ("doctor",), ("pause", "h"),
        ("resume", "h", "--no-run"), ("stop", "h"), ("cancel", "h"), ("studies", "rm", "h", "-y"),
    ],
)  # fmt: skip
def test_no_reader_sends_escapes_to_the_terminal(cli, words):
    result = cli(*words)
    assert result.exit_code == (3 if words[-1].startswith("no") else 0), result.stderr
    for said in (result.stdout, result.stderr):
        assert not set(said) & set("\x1b\x07\x9b\u202e\ud800")
        said.encode("utf-8")


def test_json_holds_the_very_texts(answer, hostile):
    trials = answer("trials", "ls", "h")["trials"]
    assert trials[0]["user_attrs"] == {f"u{RAW}": RAW}
    assert trials[1]["end_reason"] == f"broken {RAW}"


def test_exports_take_half_a_surrogate(folder, hostile):
    hostile.export("out.csv")
    rows = list(csv.DictReader((folder / "out.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[1]["end_reason"].endswith("\\ud800")
    hostile.export("out.parquet")
    hostile.export("out.json")
    assert json.loads((folder / "out.json").read_text())["trials"][1]["end_reason"].endswith(RAW)


def test_a_failing_trial_writes_no_escapes_to_the_log(cli, folder):
    (folder / "bad.py").write_text("def f(trial):\n    raise ValueError('\\x1b[2Jowned')\n")
    result = cli("run", "bad.py:f", "-n", "9", *RUN[:2], "--space", "train.py:space")
    assert result.exit_code == 1
    assert "\\x1b[2Jowned" in result.stderr
    assert "\x1b" not in result.stderr
    assert "the first 5 trials" in result.stderr


def test_a_time_that_is_none_is_said_once_and_plainly(cli):
    result = cli("run", "train.py:objective", "-n", "1", "--timeout", "5x", *RUN)
    assert result.stderr == (
        "tunekit: TK104 tunekit run: \"timeout\" is '5x': expected seconds or a text like "
        '"90s" or "2h".\n'
    )


def test_an_unknown_option_of_a_sampler_gets_the_closest_one():
    with pytest.raises(tk.errors.InvalidArgument, match=r'unknown option "foo"; there are '):
        tk.study(sampler="bayesian", sampler_options={"foo": 1}, space={"x": [1, 2]})
    with pytest.raises(tk.errors.InvalidArgument, match=r'"bugdet" .did you mean "budget"'):
        tk.study(sampler="auto", sampler_options={"bugdet": 1}, space={"x": [1, 2]})


def test_a_goal_that_was_passed_is_no_share(cli):
    words = ("run", "train.py:objective", *RUN)
    assert cli(*words, "-n", "5", "--name", "g").exit_code == 0
    result = cli(*words, "-n", "3", "--name", "g")
    assert "5/3" not in result.stderr
    assert "g: 5 trials" in result.stderr


def test_an_unknown_study_names_the_command_that_lists_them(cli, finished):
    assert "`tunekit studies ls`" in cli("studies", "show", "zzz").stderr


def test_a_run_says_where_it_is_kept(cli):
    result = cli("run", "train.py:objective", "-n", "1", *RUN)
    assert "in sqlite:///tunekit.db" in result.stderr


def test_the_help_of_run_states_what_a_program_gets_and_prints(cli):
    said = " ".join(cli("run", "--help").stdout.replace("│", " ").split())
    for word in ("$TUNEKIT_PARAMS", "{params_file}", "tunekit report step=3", "last line"):
        assert word in said


@pytest.mark.parametrize(
    ("words", "is_warned"),
    [
        (["{lr}", "{model}", "{depth}"], False),
        (["{lr}"], True),
        (["{params_file}"], False),
    ],
)
def test_a_parameter_without_a_placeholder_is_warned_of(cli, folder, words, is_warned):
    (folder / "p.sh").write_text("echo 1\n")
    result = cli("run", "-n", "1", *RUN[:4], "--", "sh", "p.sh", *words)
    assert result.exit_code == 0, result.stderr
    assert ("no argument has a placeholder for model, model.tree.depth" in result.stderr) is (
        is_warned
    )


def test_show_tells_what_mattered(cli, answer):
    pytest.importorskip("optuna")
    assert cli("run", "train.py:objective", "-n", "12", "--name", "m", *RUN).exit_code == 0
    shares = answer("studies", "show", "m")["study"]["mattered"]
    assert set(shares) >= {"lr", "model"}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert "mattered.lr" in cli("studies", "show", "m").stdout


def test_an_interrupt_without_words_is_said_in_words(cli, monkeypatch):
    def interrupted(flag):
        raise KeyboardInterrupt

    monkeypatch.setattr("tunekit.cli.stores.open_existing", interrupted)
    result = cli("studies", "ls")
    assert (result.exit_code, result.stderr) == (130, "tunekit: interrupted; the state is saved\n")


@pytest.mark.parametrize(
    ("program", "said"), [("./absent", "cannot be found"), ("./p.sh", "is not executable")]
)
def test_a_program_that_cannot_run_is_refused_before_any_trial(cli, folder, program, said):
    (folder / "p.sh").write_text("echo 1\n")
    result = cli("run", "-n", "9", *RUN, "--", program, "{lr}")
    assert result.exit_code == 2
    assert f'the program "{program}" {said}; ' in result.stderr
    assert not (folder / "tunekit.db").exists()


def test_several_metrics_without_a_named_objective_are_told_the_flag(cli, folder):
    (folder / "p.sh").write_text("""echo '{"loss": 1, "cost": 2}'\n""")
    result = cli("run", "-n", "9", *RUN[:4], "--", "sh", "p.sh", "{lr}", "{model}", "{depth}")
    assert result.exit_code == 1
    assert 'objectives="loss" (--minimize loss)' in result.stderr
    assert "--max-failed 1000" in result.stderr


@pytest.mark.parametrize(("n", "text"), [(0, "0 trials"), (1, "1 trial"), (2, "2 trials")])
def test_a_number_and_its_noun_agree(n, text):
    assert counted(n, "trial") == text


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def f(trial)\n", "SyntaxError: expected ':' (bad.py, line 1)."),
        ("import json\nimport nothing\n", "No module named 'nothing' (bad.py, line 2)."),
        ("x = 1\n\nx / 0\n", "ZeroDivisionError: division by zero (bad.py, line 3)."),
    ],
)
def test_an_import_that_fails_is_said_with_its_line_once(cli, folder, code, said):
    (folder / "bad.py").write_text(code)
    result = cli("run", "bad.py:f", "-n", "1")
    assert result.exit_code == 2
    assert result.stderr.endswith(f"{said}\n")


def on_a_terminal(monkeypatch, width, header, rows):
    screen = io.StringIO()
    console = Console(file=screen, width=width, force_terminal=True, color_system=None)
    monkeypatch.setattr(output, "stdout_console", lambda: console)
    output.print_table(header, rows)
    return screen.getvalue()


def test_a_table_on_a_terminal_folds_texts_and_keeps_numbers_whole(monkeypatch):
    header = ("name", "trials", "complete", "stopped", "running", "best", "created")
    row = ("first", "14", "12", "0", "0", "0.0763276", "2026-11-26T03:59:15Z")
    said = on_a_terminal(monkeypatch, 70, header, [row])
    assert said.splitlines()[1].split() == list(header)
    assert "0.0763276" in said


def test_a_table_on_a_tiny_terminal_loses_nothing(monkeypatch):
    said = on_a_terminal(monkeypatch, 24, ("name", "complete", "best"), [("x" * 30, "1", "0.25")])
    assert said.count("x") == 30 and "0.25" in said
    assert all(len(line) <= 24 for line in said.splitlines())


def test_the_help_of_run_breaks_its_lines_where_the_terminal_ends(cli):
    lines = [line.strip() for line in cli("run", "--help").stdout.splitlines()]
    assert "$TUNEKIT_PARAMS" not in lines
    assert any(line.startswith("$TUNEKIT_PARAMS (JSON); the last line") for line in lines)


@pytest.mark.parametrize(
    ("folder_name", "said"), [(".", "tunekit run"), ("a b", "cd 'a b' && tunekit run")]
)
def test_init_says_what_to_type_next(cli, folder, folder_name, said):
    (folder / "train.py").unlink()
    assert cli("init", folder_name).stderr == f"now: {said}\n"
