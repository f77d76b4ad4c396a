"""`tunekit run -- program`: any language, through arguments, the environment and lines."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import psutil
import pytest

import tunekit as tk
from tunekit.cli.shell import make_program
from tunekit.errors import InvalidArgument

SPACE = tk.Space(
    lr=tk.Float(0.0, 1.0),
    flag=bool,
    model=tk.Categorical({"a b": None, "tree": tk.Space(depth=tk.Int(1, 9), lr=tk.Float(1, 2))}),
)


def run(words, params, **kwargs):
    """Run a program as the only trial of a study; return the stored trial."""
    study = tk.study(space=SPACE, objectives=["error"], sampler="random", seed=1, **kwargs)
    study.enqueue_trial(params)
    study.optimize(make_program(words, SPACE, Path.cwd()), n_trials=1)
    return study, study.trials[0]


def python(code, *words):
    return [sys.executable, "-c", code, *words]


ECHO = "import json, sys; json.dump(sys.argv[1:], open('args', 'w')); print(1)"
LINEAR = {"lr": 0.5, "flag": True, "model": "a b"}
TREE = {"lr": 0.5, "flag": False, "model": "tree", "depth": 3, "model.tree.lr": 1.5}


def args():
    return json.loads(Path("args").read_text())


def test_placeholders_become_values_and_no_shell_reads_them(folder):
    words = ["--lr={lr}", "{flag}", "{model}", "$HOME; ls", "{{lr}}", "{number}", '{"a": 1}']
    run(python(ECHO, *words), LINEAR)
    assert args() == ["--lr=0.5", "true", "a b", "$HOME; ls", "{lr}", "0", '{"a": 1}']


def test_an_inactive_parameter_takes_its_flag_away(folder):
    words = ["--depth", "{depth}", "--deep={depth}", "x{depth}", "--lr", "{lr}"]
    run(python(ECHO, *words), LINEAR)
    assert args() == ["--lr", "0.5"]
    run(python(ECHO, *words), TREE)
    assert args() == ["--depth", "3", "--deep=3", "x3", "--lr", "0.5"]


def test_params_come_by_environment_and_by_file_too(folder):
    code = (
        "import json, os, sys; p = json.loads(os.environ['TUNEKIT_PARAMS']); "
        "assert p == json.load(open(sys.argv[1])); print(json.dumps({'error': p['lr']}))"
    )
    _, trial = run(python(code, "{params_file}"), TREE)
    assert trial.metrics == {"error": 0.5}


def test_the_last_line_is_the_result_and_report_lines_are_reports(folder):
    code = (
        "print('hello'); print('tunekit report step=1 {\"error\": 0.5}'); "
        "print('tunekit report step=2 .25'); print('{\"error\": 0.1, \"size\": 3}'); print()"
    )
    study, trial = run(python(code), LINEAR)
    assert trial.metrics == {"error": 0.1, "size": 3}
    assert [(r.step, r.metrics["error"]) for r in study.reports()[0]] == [(1, 0.5), (2, 0.25)]


def test_a_daemon_that_holds_stdout_is_not_waited_for(folder):
    _, trial = run(["sh", "-c", "(sleep 60; echo 9) & echo 1"], LINEAR)
    assert trial.metrics == {"error": 1.0}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sys; print(3); sys.exit('no such data')", "exit status 1: no such data"),
        ("import os; os.kill(os.getpid(), 11)", "killed by SIGSEGV"),
        ("pass", "printed no result"),
        ("print('done')", "its result is 'done'"),
        ("print('[1, 2]')", "its result is '[1, 2]'"),
        ("print('{\"loss\": 1}')", "error"),
        ("print('tunekit report step=1 x'); print(1)", "its report is 'x'"),
    ],
)
def test_what_goes_wrong_fails_the_trial_with_a_reason(folder, code, said):
    _, trial = run(python(code), LINEAR)
    assert trial.state == "failed"
    assert said in trial.end_reason


def test_a_program_that_is_not_there_fails_the_trial(folder):
    _, trial = run(["./no-such-program"], LINEAR)
    assert "cannot start './no-such-program'" in trial.end_reason


def test_the_end_of_stderr_is_kept(folder):
    code = "import sys; sys.stderr.write('x' * 100_000 + '\\nthe cause\\nlast'); sys.exit(2)"
    _, trial = run(python(code), LINEAR)
    assert trial.end_reason == "RuntimeError: exit status 2: last"
    assert "the cause" in trial.error
    assert len(trial.error) < 20_000


def test_a_result_that_is_nan_is_diverged(folder):
    _, trial = run(python("print('nan')"), LINEAR)
    assert trial.state == "diverged"


class StopAtOnce:
    name = "at_once"

    def decide(self, number, view):
        from tunekit.records import Decision

        return Decision("stop", "hopeless")


def test_a_stopped_trial_takes_all_its_processes_with_it(folder):
    script = Path("train.sh")
    script.write_text(
        "sleep 1000 &\necho $! > child\necho 'tunekit report step=1 {\"error\": 1}'\nwait\n"
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    _, trial = run(["sh", "train.sh"], LINEAR, stopper=StopAtOnce())
    assert (trial.state, trial.end_reason) == ("stopped", "hopeless")
    assert ends(int(Path("child").read_text()))


def ends(pid):
    """Return whether a process that was killed is gone, or soon will be."""
    try:
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE:
            process.wait(30)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("{lrr}", 'did you mean "lr"?'),
        ("{model.tree.dept}", 'did you mean "model.tree.depth"?'),
        ("--{print}", "Write {{print}}"),
    ],
)
def test_a_placeholder_that_is_no_parameter_is_refused(word, said):
    with pytest.raises(InvalidArgument, match="is not a parameter") as error:
        make_program(["echo", word], SPACE, Path())
    assert said in str(error.value)


def test_a_placeholder_that_is_short_for_two_is_refused():
    space = tk.Space(
        m=tk.Categorical({"a": tk.Space(x=tk.Int(0, 1)), "b": tk.Space(x=tk.Int(0, 1))})
    )
    with pytest.raises(InvalidArgument, match=r"short for several.*m\.a\.x, m\.b\.x"):
        make_program(["echo", "{x}"], space, Path())


def test_a_program_is_tuned_from_the_command_line(cli, answer):
    code = "import sys; print((float(sys.argv[1]) - 0.1) ** 2)"
    result = cli(
        "run", "-n", "4", "--sampler", "random", "--space", "train.py:space", "--name", "any",
        "--workers", "2", "--", *python(code, "{lr}"),
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    (study,) = answer("studies", "ls")["studies"]
    assert (study["name"], study["complete"], study["objectives"]) == (
        "any",
        4,
        {"value": "minimize"},
    )


def test_a_trial_beyond_its_time_is_killed_with_its_program(cli, answer):
    result = cli(
        "run", "-n", "1", "--sampler", "random", "--space", "train.py:space", "--name", "hang",
        "--trial-timeout", "2s", "--", "sh", "-c", "echo $$ > pid; sleep 1000",
    )  # fmt: skip
    assert result.exit_code == 6
    assert (
        "exceeded its time limit" in answer("trials", "show", "hang", "0")["trial"]["end_reason"]
    )
    assert ends(int(Path("pid").read_text()))


def test_the_environment_is_passed_on(folder, monkeypatch):
    monkeypatch.setenv("MY_SETTING", "7")
    _, trial = run(python("import os; print(os.environ['MY_SETTING'])"), LINEAR)
    assert trial.metrics == {"error": 7.0}
    assert "TUNEKIT_PARAMS" not in os.environ


def test_a_program_ends_when_it_exits_whatever_it_leaves_holding_its_output(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # The process in the background has the program's stdout, which so has no end.
    words = ["sh", "-c", "sleep 1000 & echo $! > left; echo 'no end of line follows'; printf 0.25"]
    _, trial = run(words, LINEAR)
    assert trial.metrics == {"error": 0.25}
    with pytest.raises(psutil.NoSuchProcess):
        psutil.Process(int(Path("left").read_text())).wait(30)
        psutil.Process(int(Path("left").read_text()))


def test_a_program_may_close_its_output_before_it_ends():
    code = "import os, sys; print(0.5, flush=True); os.close(1); sys.exit(0)"
    _, trial = run(python(code), LINEAR)
    assert trial.metrics == {"error": 0.5}


def test_long_output_of_a_program_is_read_to_its_last_line():
    code = "for i in range(200_000): print('line', i)\nprint(0.75)"
    _, trial = run(python(code), LINEAR)
    assert trial.metrics == {"error": 0.75}
