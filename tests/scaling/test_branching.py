"""Decays branch from the checkpoints of a stable run, once each, and give the loss over length."""

from __future__ import annotations

import json

import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument, UnknownCheckpoint, UnknownTrial
from tunekit.records import Branch
from tunekit.scaling import decay_branches, decay_points, schedule_of, stable_run

SPACE = tk.Space(lr=tk.Float(1e-3, 1, log=True), seed=[0, 1])


def train(trial):
    """Train a toy whose loss falls with the steps, by more in a decay."""
    phase, first, last = schedule_of(trial.user_attrs)
    file = trial.checkpoint_dir / "state.json"
    state = json.loads(file.read_text()) if file.exists() else {"steps": [], "decayed": 0}
    assert len(state["steps"]) == first - 1  # it goes on where the checkpoint stands
    for step in range(first, last + 1):
        state["steps"].append(step)
        state["decayed"] += phase == "decay"
        if phase == "stable" and step in trial.user_attrs["wsd"]["steps"]:
            file.write_text(json.dumps(state))
            trial.save_checkpoint(step)
    return 2 + 10 / last + (0.5 if phase == "stable" else 0.0) + 0 * state["decayed"]


@pytest.fixture
def study(tmp_path):
    return tk.study(
        "wsd",
        space=SPACE,
        storage=f"sqlite:///{tmp_path}/s.db",
        checkpoints=tk.Checkpoints(tmp_path / "kept", keep_every=10),
    )


def test_one_stable_run_and_short_decays_give_the_loss_at_several_lengths(study):
    parent = stable_run(study, {"lr": 0.1}, steps=[90, 180, 360])
    study.optimize(train, n_trials=1)
    assert [c.step for c in study.trials[parent].checkpoints] == [90, 180, 360]
    numbers = decay_branches(study, parent)
    study.optimize(train, n_trials=len(numbers))
    points = decay_points(study)
    assert [(p.step, p.total) for p in points] == [(90, 100), (180, 200), (360, 400)]
    assert [p.loss for p in points] == pytest.approx([2.1, 2.05, 2.025])
    assert [study.trials[n].branch for n in numbers] == [Branch(parent, s) for s in (90, 180, 360)]
    assert all(study.trials[n].params["lr"] == 0.1 for n in numbers)
    stable = 360 + sum(p.total - p.step for p in points)
    assert stable < sum(p.total for p in points)  # what training each length alone would take


def test_what_is_enqueued_is_not_enqueued_again(study, tmp_path):
    parent = stable_run(study, {"lr": 0.1}, steps=[10, 20])
    assert stable_run(study, {"lr": 0.1}, steps=[10, 20]) == parent
    assert stable_run(study, {"lr": 0.2}, steps=[10, 20]) != parent
    study.optimize(train, n_trials=2)
    first = decay_branches(study, parent, steps=[10])
    again = tk.load_study(
        "wsd",
        storage=f"sqlite:///{tmp_path}/s.db",
        checkpoints=tk.Checkpoints(tmp_path / "kept", keep_every=10),
    )
    both = decay_branches(again, parent)  # as after a kill between the two
    assert both[0] == first[0] and len(set(both)) == 2
    assert decay_branches(again, parent) == both
    assert decay_branches(again, parent, share=0.2) != both
    assert decay_branches(again, parent, params={"seed": 1}) != both


def test_a_cancelled_decay_is_enqueued_anew(study):
    parent = stable_run(study, {"lr": 0.1}, steps=[10])
    study.optimize(train, n_trials=1)
    (number,) = decay_branches(study, parent)
    study.cancel_trial(number)
    assert decay_branches(study, parent) != [number]
    study.optimize(train, n_trials=1)
    assert len(decay_points(study)) == 1


def test_regular_checkpoints_are_kept_beside_the_best_and_the_last(study):
    study.enqueue_trial({"lr": 0.5})

    def saving(trial):
        for step in range(1, 26):
            (trial.checkpoint_dir / "x").write_text(str(step))
            trial.report(1.0 if step == 7 else 2.0, step, checkpoint=True)
        return 1.0

    study.optimize(saving, n_trials=1)
    assert [c.step for c in study.trials[0].checkpoints] == [7, 10, 20, 25]


def test_bad_branches_are_refused_in_sentences(study, tmp_path):
    bare = tk.study(space=SPACE)
    with pytest.raises(InvalidArgument, match="keep_every=50"):
        stable_run(bare, {"lr": 0.1}, steps=[50, 100])
    with pytest.raises(InvalidArgument, match="does not keep the checkpoints of the steps"):
        stable_run(study, {"lr": 0.1}, steps=[15, 20])
    with pytest.raises(InvalidArgument, match=r"steps=.*expected whole numbers of 1 or more"):
        stable_run(study, {"lr": 0.1}, steps=[0.5])
    with pytest.raises(UnknownTrial, match="parent=7"):
        decay_branches(study, 7)
    parent = stable_run(study, {"lr": 0.1}, steps=[10])
    with pytest.raises(InvalidArgument, match="has no checkpoints to branch from"):
        decay_branches(study, parent)
    study.optimize(train, n_trials=1)
    with pytest.raises(UnknownCheckpoint, match="checkpoints of the steps"):
        decay_branches(study, parent, steps=[99])
    for share in (0.0, 1.0, -0.1):
        with pytest.raises(InvalidArgument, match="share="):
            decay_branches(study, parent, share=share)
    with pytest.raises(InvalidArgument, match="neither a stable run nor a decay"):
        schedule_of({})
    with pytest.raises(InvalidArgument, match="keep_every=0, expected a whole number"):
        tk.Checkpoints(tmp_path, keep_every=0)
