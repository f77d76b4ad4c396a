"""Trials go on from their checkpoints: after a death, a pause, an interrupt, as a branch."""

import os
import shutil
import signal
from pathlib import Path

import pytest

import tunekit as tk
from tunekit.checkpoints.base import Checkpoints
from tunekit.errors import InvalidArgument, UnknownCheckpoint, UnknownTrial
from tunekit.records import CONTINUE, Branch, Decision, TrialState
from tunekit.stoppers.asha import AshaStopper

SPACE = tk.Space(x=tk.Float(0, 1))
STEPS = 6


def train(trial, until=STEPS, hook=None):
    """Count steps in a file, which is the state; the loss falls with the step."""
    state = trial.checkpoint_dir / "steps.txt"
    done = state.read_text().split() if state.exists() else []
    first = 0 if trial.resumed_from is None else trial.resumed_from + 1
    assert len(done) == first, "the state is that of the checkpoint"
    for step in range(first, until):
        done.append(f"{trial.number}.{trial.epoch}.{step}")
        state.write_text(" ".join(done))
        if hook is not None:
            hook(trial, step)
        trial.report(trial.params["x"] + 1 / (step + 1), step, checkpoint=True)
    trial.set_user_attr("done", done)
    return trial.params["x"]


def folders(root):
    return sorted(str(p.relative_to(root)) for p in Path(root).glob("*/*/*"))


def make(tmp_path, **options):
    given = {"space": SPACE, "sampler": "random", "seed": 1, "checkpoints": tmp_path / "kept"}
    return tk.study("s", **{**given, **options})


@pytest.mark.parametrize("workers", [1, 2])
def test_the_best_and_the_last_checkpoint_stay_and_nothing_else(tmp_path, workers):
    study = make(tmp_path)
    study.optimize(train, n_trials=3, workers=workers)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 3
    for t in study.trials:
        assert [(c.step, c.epoch) for c in t.checkpoints] == [(STEPS - 1, 1)]
        assert t.checkpoints[0].value == pytest.approx(t.params["x"] + 1 / STEPS)
    study = tk.study("s", space=SPACE, seed=1, direction="maximize", checkpoints=tmp_path / "max")
    study.optimize(train, n_trials=1)
    assert [c.step for c in study.trials[0].checkpoints] == [0, STEPS - 1]
    assert [n.partition("/")[2] for n in folders(tmp_path / "max")] == ["0/0-1", "0/5-1"]


def test_a_checkpoint_saved_before_its_report_is_judged_by_it(tmp_path):
    def objective(trial):
        for step, loss in enumerate([3.0, 1.0, 2.0, 5.0]):
            (trial.checkpoint_dir / "f").write_text(str(step))
            trial.save_checkpoint(step)
            trial.report(loss, step)
        return 1.0

    study = make(tmp_path)
    study.optimize(objective, n_trials=1)
    assert [(c.step, c.value) for c in study.trials[0].checkpoints] == [(1, 1.0), (3, 5.0)]
    assert [len(r) for r in study.reports().values()] == [4]


def kill_at_three(trial, step):
    if step == 3 and trial.epoch == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_goes_on_from_its_last_checkpoint(tmp_path):
    study = make(tmp_path)
    study.optimize(lambda t: train(t, hook=kill_at_three), n_trials=2, executor="process")
    for t in study.trials:
        assert (t.state, t.epoch) == (TrialState.COMPLETE, 2)
        expected = [f"{t.number}.{1 if s < 3 else 2}.{s}" for s in range(STEPS)]
        assert t.user_attrs["done"] == expected
        assert [r.step for r in study.reports()[t.number]] == list(range(STEPS))
    assert {n.split("/")[2] for n in folders(tmp_path / "kept")} == {"5-2"}


def test_a_worker_that_dies_again_and_again_without_progress_costs_the_trial(tmp_path):
    def objective(trial):
        return train(trial, hook=lambda t, step: step == 3 and os.kill(os.getpid(), 9))

    study = make(tmp_path)
    study.optimize(objective, n_trials=1, executor="process")
    (t,) = study.trials
    assert (t.state, t.epoch) == (TrialState.FAILED, 3), "two more tries saved nothing new"
    assert "SIGKILL" in t.end_reason
    assert [c.step for c in t.checkpoints] == [2]


def test_an_interrupted_trial_goes_on_from_its_last_checkpoint(tmp_path):
    def interrupt(trial, step):
        if step == 2 and trial.epoch == 1:
            raise KeyboardInterrupt

    study = make(tmp_path, storage=tmp_path / "s.db")
    with pytest.raises(KeyboardInterrupt):
        study.optimize(lambda t: train(t, hook=interrupt), n_trials=1)
    again = tk.load_study("s", storage=tmp_path / "s.db", checkpoints=tmp_path / "kept")
    assert [c.step for c in again.trials[0].checkpoints] == [1]
    again.optimize(train, n_trials=1)
    assert again.trials[0].user_attrs["done"][1:3] == ["0.1.1", "0.2.2"]


def test_a_moved_root_works_and_a_lost_one_starts_over(tmp_path, caplog):
    def die(trial, step):
        if step == 3:
            raise KeyboardInterrupt

    study = make(tmp_path, storage=tmp_path / "s.db")
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            study.optimize(lambda t: train(t, until=5, hook=die), n_trials=1)
    shutil.move(tmp_path / "kept", tmp_path / "moved")
    moved = tk.load_study("s", storage=tmp_path / "s.db", checkpoints=tmp_path / "moved")
    moved.optimize(train, n_trials=1)
    assert moved.trials[0].user_attrs["done"][2] == "0.1.2"
    with pytest.raises(KeyboardInterrupt):
        moved.optimize(lambda t: train(t, hook=die), n_trials=1)
    lost = tk.load_study("s", storage=tmp_path / "s.db", checkpoints=tmp_path / "empty")
    lost.optimize(train, n_trials=1)
    assert lost.trials[1].user_attrs["done"] == [f"1.2.{s}" for s in range(STEPS)]
    assert "trial 1 starts over" in caplog.text


def test_a_study_without_a_place_says_so(tmp_path):
    study = tk.study(space=SPACE, sampler="random", seed=1)
    study.optimize(train, n_trials=1)
    assert study.trials[0].state is TrialState.FAILED
    assert "checkpoints=" in study.trials[0].end_reason


def test_two_studies_of_one_name_do_not_share_their_checkpoints(tmp_path):
    for seed in (1, 2):
        study = make(tmp_path, seed=seed)
        study.optimize(train, n_trials=1)
        assert study.trials[0].state is TrialState.COMPLETE
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_ask_and_tell_keep_checkpoints_and_pause(tmp_path):
    study = make(tmp_path)
    trial = study.ask()
    (trial.checkpoint_dir / "f").write_text("1")
    trial.report(1.0, 0, checkpoint=True)
    folder = trial.checkpoint_dir
    assert study.tell(trial, 1.0, state="paused", reason="lunch").state is TrialState.PAUSED
    assert not folder.exists()
    assert study.resume_trial(0)
    assert not study.resume_trial(0)
    again = study.ask()
    assert (again.number, again.epoch, again.resumed_from) == (0, 2, 0)
    assert (again.checkpoint_dir / "f").read_text() == "1"
    assert study.tell(again, 0.5).state is TrialState.COMPLETE


def test_checkpoints_behind_a_uri(tmp_path):
    study = make(tmp_path, checkpoints=f"memory://{tmp_path.name}")
    with pytest.raises(KeyboardInterrupt):

        def interrupt(trial, step):
            if step == 3:
                raise KeyboardInterrupt

        study.optimize(lambda t: train(t, hook=interrupt), n_trials=1)
    study.optimize(train, n_trials=1)
    assert study.trials[0].user_attrs["done"][1:4] == ["0.1.1", "0.1.2", "0.2.3"]


# Branches


def test_a_branch_begins_with_a_copy_of_the_checkpoint(tmp_path):
    study = make(tmp_path)
    study.optimize(train, n_trials=1)
    number = study.enqueue_trial({"x": 0.25}, branch_from=(0, 5))
    shutil.rmtree(next((tmp_path / "kept").iterdir()) / "0")  # the copy is its own
    study.optimize(lambda t: train(t, until=8), n_trials=1)
    child = study.trials[number]
    assert (child.state, child.branch) == (TrialState.COMPLETE, Branch(0, 5))
    assert child.user_attrs["done"][4:] == ["0.1.4", "0.1.5", "1.1.6", "1.1.7"]
    assert [r.step for r in study.reports()[1]] == [6, 7]
    row = study.trials_rows()[1]
    assert (row["branch_trial"], row["branch_step"]) == (0, 5)
    assert study.trials_rows()[0]["branch_trial"] is None
    assert {n.split("/")[1:][0] for n in folders(tmp_path / "kept")} == {"1"}


def test_what_a_branch_leaves_open_is_as_in_its_parent(tmp_path):
    space = tk.Space(
        lr=tk.Float(1e-3, 1.0, log=True, default=0.5),
        net=tk.Categorical({"deep": tk.Space(layers=tk.Int(1, 9, default=2)), "flat": None}),
    )

    def objective(trial):
        (trial.checkpoint_dir / "f").write_text("1")
        trial.report(1.0, 3, checkpoint=True)
        return 1.0

    study = make(tmp_path, space=space)
    study.enqueue_trial({"lr": 0.1, "net": "deep", "layers": 7})
    study.optimize(objective, n_trials=1)
    study.enqueue_trial({"lr": 0.2}, branch_from=(0, 3))
    study.enqueue_trial({"net": "flat"}, branch_from=(0, 3))
    study.optimize(objective, n_trials=2)
    assert study.trials[1].params == {"lr": 0.2, "net": "deep", "net.deep.layers": 7}
    assert study.trials[2].params == {"lr": 0.1, "net": "flat"}


def test_a_branch_of_a_program_is_held_to_what_the_user_gave_and_inherits_the_rest(tmp_path):
    def objective(trial):
        if trial.suggest_categorical("net", ["deep", "flat"]) == "deep":
            trial.suggest_int("layers", 1, 9)
        trial.suggest_float("lr", 0, 1)
        (trial.checkpoint_dir / "f").write_text("1")
        trial.report(1.0, 3, checkpoint=True)
        return 1.0

    study = tk.study(sampler="random", seed=1, checkpoints=tmp_path)
    study.enqueue_trial({"lr": 0.1, "net": "deep", "layers": 7})
    study.optimize(objective, n_trials=1)
    for point in ({"lr": 0.2}, {"net": "flat"}, {"lrr": 0.2}, {"net": "flat", "layers": 8}):
        study.enqueue_trial(point, branch_from=(0, 3))
    study.optimize(objective, n_trials=4)
    _, changed, flat, misspelt, absent = study.trials
    assert changed.params == {"lr": 0.2, "net": "deep", "layers": 7}
    assert changed.reason.startswith("enqueued by the user: lr;")
    assert flat.params == {"lr": 0.1, "net": "flat"} and flat.state is TrialState.COMPLETE
    assert misspelt.state is absent.state is TrialState.FAILED
    assert 'never asked for "lrr"' in misspelt.end_reason
    assert 'never asked for "layers"' in absent.end_reason


def test_a_branch_from_nothing_is_refused_at_the_door(tmp_path):
    study = make(tmp_path)
    study.optimize(train, n_trials=1)
    with pytest.raises(UnknownCheckpoint, match=r"trial 0 has checkpoints of the steps \[5\]"):
        study.enqueue_trial({}, branch_from=(0, 2))
    with pytest.raises(UnknownTrial, match="no trial 7"):
        study.enqueue_trial({}, branch_from=(7, 2))
    for bad in (3, (0,), (0, "5"), (0, True)):
        with pytest.raises(InvalidArgument, match="branch_from"):
            study.enqueue_trial({}, branch_from=bad)
    shutil.rmtree(tmp_path / "kept")
    with pytest.raises(UnknownCheckpoint, match="has no checkpoints"):
        study.enqueue_trial({}, branch_from=(0, 5))
    assert len(study.trials) == 1
    bare = tk.study(space=SPACE, sampler="random", seed=1)
    bare.optimize(lambda t: 1.0, n_trials=1)
    with pytest.raises(InvalidArgument, match="checkpoints="):
        bare.enqueue_trial({}, branch_from=(0, 5))


# Pauses


class Halves:
    """Pauses every trial at step 2 and promotes the better half once so many stand there."""

    name = "halves"

    def __init__(self, of):
        self.of = of

    def decide(self, number, view):
        last = view.reports[number][-1]
        assert [r.step for r in view.reports[number]] == list(range(last.step + 1))
        return Decision("pause", "rung at step 2", {"step": 2}) if last.step == 2 else CONTINUE

    def promote(self, view):
        at = {n: c[2].metrics["value"] for n, c in view.reports.items() if len(c) > 2}
        if len(at) < self.of:
            return {}
        best = sorted(at, key=at.get)[: self.of // 2]
        paused = {t.number for t in view.history.paused()}
        return {n: f"among the best {len(best)} of {len(at)}" for n in best if n in paused}


@pytest.mark.parametrize("workers", [1, 2])
def test_paused_trials_wait_for_their_promotion_and_the_rest_stay_paused(tmp_path, workers):
    study = make(tmp_path, stopper=Halves(4))
    assert study.optimize(train, n_trials=4, workers=workers) == "done"
    states = [str(t.state) for t in study.trials]
    assert sorted(states) == ["complete"] * 2 + ["paused"] * 2
    x = {t.number: t.params["x"] for t in study.trials}
    best = sorted(x, key=x.get)[:2]
    assert study.best_trial.number == best[0]
    for t in study.trials:
        steps = [r.step for r in study.reports()[t.number]]
        if t.number in best:
            assert (t.epoch, steps) == (2, list(range(STEPS)))
            assert t.user_attrs["done"][2:4] == [f"{t.number}.1.2", f"{t.number}.2.3"]
        else:
            assert (t.end_reason, t.stop_evidence["step"]) == ("rung at step 2", 2)
            assert (steps, [c.step for c in t.checkpoints]) == ([0, 1, 2], [2])


@pytest.mark.parametrize("workers", [1, 2])
def test_successive_halving_by_promotion_trains_each_step_once(tmp_path, workers):
    study = make(tmp_path, stopper=AshaStopper(mode="promote", min_resource=2), audit=0.0)
    assert study.optimize(lambda t: train(t, until=8), n_trials=8, workers=workers) == "done"
    counts = study.refresh().counts()
    assert set(counts) == {TrialState.COMPLETE, TrialState.PAUSED}
    best = min(study.trials, key=lambda t: t.params["x"])
    assert study.best_trial.number == best.number
    for t in study.history.complete():
        assert [d.rpartition(".")[2] for d in t.user_attrs["done"]] == list("01234567")


def test_a_paused_trial_is_resumed_by_hand_without_a_new_one(tmp_path):
    study = make(tmp_path, stopper=Halves(99))
    study.optimize(train, total_trials=2)
    assert [t.state for t in study.trials] == [TrialState.PAUSED] * 2
    assert study.resume_trial(1, "it looked good")
    with pytest.raises(UnknownTrial):
        study.resume_trial(7)
    study.optimize(train, n_trials=0)
    assert [t.state for t in study.trials] == [TrialState.PAUSED, TrialState.COMPLETE]
    events = study.storage.events(study.id)
    assert [e.data["reason"] for e in events if e.kind == "promoted"] == ["it looked good"]


def test_a_run_ends_although_a_sampler_at_its_end_has_left_paused_trials(tmp_path):
    space = tk.Space(x=tk.Categorical([0.1, 0.2, 0.3, 0.4]))
    study = make(tmp_path, space=space, sampler="grid", stopper=Halves(4))
    assert study.optimize(train, n_trials=9) == "exhausted"
    counts = {str(s): n for s, n in study.refresh().counts().items()}
    assert counts == {"complete": 2, "paused": 2}


def test_a_program_may_pause_itself_and_clean_up(tmp_path):
    cleaned = []

    def objective(trial):
        if trial.epoch == 1:
            raise tk.TrialPaused("waiting for data")
        return 1.0

    def careful(trial):
        try:
            return train(trial)
        except tk.TrialStopped as stop:
            cleaned.append(type(stop))
            raise

    study = make(tmp_path)
    study.optimize(objective, n_trials=1)
    assert (study.trials[0].state, study.trials[0].end_reason) == (
        TrialState.PAUSED,
        "waiting for data",
    )
    study.stopper = Halves(99)
    study.optimize(careful, n_trials=1)
    assert cleaned == [tk.TrialPaused]
    study.resume_trial(0)
    study.optimize(objective, n_trials=0)
    assert study.trials[0].state is TrialState.COMPLETE


def test_a_study_names_the_folder_of_a_checkpoint(tmp_path):
    def objective(trial):
        for step in (1, 2):
            (trial.checkpoint_dir / "state").write_text(str(step))
            trial.report(1.0 / step, step, checkpoint=True)
        return 0.5

    space = tk.Space(x=tk.Float(0, 1))
    study = tk.study(space=space, checkpoints=Checkpoints(tmp_path / "kept", keep_best=5))
    study.optimize(objective, n_trials=1)
    assert (study.checkpoint_path(study.best_trial) / "state").read_text() == "2"
    assert (study.checkpoint_path(0, step=1) / "state").read_text() == "1"
    with pytest.raises(UnknownCheckpoint, match=r"no checkpoint of step 7 .* steps \[1, 2\]"):
        study.checkpoint_path(0, step=7)
    with pytest.raises(UnknownTrial):
        study.checkpoint_path(5)
    bare = tk.study(space=space)
    bare.optimize(lambda trial: 1.0, n_trials=1)
    with pytest.raises(InvalidArgument, match="without a place of checkpoints"):
        bare.checkpoint_path(0)
