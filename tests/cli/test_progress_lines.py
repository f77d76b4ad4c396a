"""What a run says on stderr, by a clock of our own."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from tunekit.driver.progress import LiveProgress, LogProgress, Pace, clock_text, make_progress
from tunekit.history import History
from tunekit.records import ObjectiveSpec, TrialRecord, TrialState


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def history(*errors, running=0):
    found = History((ObjectiveSpec("error"),))
    add(found, errors, running)
    return found


def add(found, errors, running=0):
    n = len(found)
    states = [(TrialState.COMPLETE, {"error": e}) for e in errors]
    states += [(TrialState.RUNNING, {})] * running
    found.update(
        [
            TrialRecord(n + i, state, seq=n + i + 1, metrics=metrics)
            for i, (state, metrics) in enumerate(states)
        ],
        n + len(states),
    )


def test_a_log_gets_one_line_every_30_seconds():
    lines, clock = [], Clock()
    progress = LogProgress(lines.append, clock)
    seen = history(0.5)
    progress.start("s", seen, 10)
    add(seen, [0.25, 0.75, 0.3], running=2)
    for clock.now in (10, 29.9, 30, 31, 59):
        progress.update(seen, 2)
    progress.close()
    assert lines == [
        "s: 1/10 trials",
        "s: 4/10 trials | best error 0.25 (trial 1) | 2 running here, 4 complete | "
        "6.0 trials/min, 0:01:00 left",
    ]


def test_an_event_is_said_at_once():
    lines = []
    LogProgress(lines.append, Clock()).event("trial 3 failed: no data")
    assert lines == [": trial 3 failed: no data"]


def test_without_a_goal_or_a_finished_trial_no_time_is_promised():
    lines, clock = [], Clock()
    progress = LogProgress(lines.append, clock)
    progress.start("s", history(), None)
    clock.now = 30
    progress.update(history(running=1), 1)
    assert lines[1] == "s: 0 trials | no best yet | 1 running here"


def test_the_live_block_has_best_states_and_the_latest_events():
    progress = LiveProgress()
    for i in range(9):
        progress.event(f"event {i}")
    console = Console(file=io.StringIO(), width=100)
    console.print(progress.block(history(0.5, 0.25, running=1), 1))
    text = console.file.getvalue()
    assert "best error 0.25 (trial 1)" in text
    assert "1 running here, 2 complete" in text
    assert "event 8" in text
    assert "event 3" not in text


@pytest.mark.parametrize("name", ["s", "study-2983f0c40e34", "n" * 60])
def test_the_live_block_keeps_its_head_in_one_line_of_80_columns(name):
    progress, clock = LiveProgress(), Clock()
    progress._pace = Pace(clock)
    progress.start(name, history(), 1000)
    progress.close()
    clock.now = 30.0
    console = Console(file=io.StringIO(), width=80, color_system="truecolor", force_terminal=True)
    console.print(progress.block(history(0.5, 0.25), 0))
    lines = re.sub(r"\x1b\[[\d;]*m", "", console.file.getvalue()).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(name[:29])
    assert "━━━━ 2/1000 trials 4.0 trials/min, 4:09:30 left" in lines[0]


def test_a_run_that_is_over_has_no_time_left():
    pace = Pace(clock := Clock())
    pace.start(history(), 2)
    clock.now = 30.0
    assert pace.words(history(0.5, 0.25)) == "4.0 trials/min"


def test_quiet_shows_nothing_and_a_log_gets_lines():
    assert make_progress(quiet=True) is None
    assert isinstance(make_progress(quiet=False), LogProgress)


def test_time_spans_are_read_as_a_clock():
    assert [clock_text(s) for s in (0.2, 61, 3599.6, 90061)] == [
        "0:00:00", "0:01:01", "1:00:00", "25:01:01",
    ]  # fmt: skip


def test_json_output_has_no_progress_on_stdout(answer):
    best = answer("run", "train.py:objective", "-n", "2", "--space", "train.py:space",
                  "--minimize", "error", "--sampler", "random")["run"]  # fmt: skip
    assert (best["study"], best["ending"], len(best["best"])) == ("train", "done", 1)
