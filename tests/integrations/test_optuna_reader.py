"""What tunekit's parts read of an Optuna study: all that is there, at the cost of what changed."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

optuna = pytest.importorskip("optuna")
bridge = pytest.importorskip("tunekit_integrations.optuna")
optuna_history = pytest.importorskip("tunekit_integrations.optuna_history")

from optuna.trial import TrialState  # noqa: E402 - after the check that it is installed


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'optuna.db'}"


def read_by(reader, study):
    """Return what a reader gives of a study, without the order in which it became known."""
    history = reader.read(study, study.get_trials(deepcopy=False))
    records = [replace(t, seq=0) for t in history]
    reports = {n: [*r] for n, r in sorted(reader.reports.items())}
    return records, reports, reader.space


def check(reader, study):
    """Check that a reader gives what a new one does; return the states by number."""
    found = read_by(reader, study)
    assert repr(found) == repr(read_by(optuna_history.OptunaReader(), study))  # NaN is not NaN
    return [str(t.state) for t in found[0]]


def reported(study, *values):
    """Return a new trial that has reported some values."""
    trial = study.ask()
    trial.suggest_float("x", 0.0, 1.0)
    for step, value in enumerate(values):
        trial.report(value, step)
    return trial


def test_what_another_process_reports_and_ends_is_seen(url):
    ours = optuna.create_study(storage=url, study_name="s")
    theirs = optuna.load_study(storage=url, study_name="s")
    reader = optuna_history.OptunaReader()
    first, second = reported(theirs, 1.0), reported(theirs, 2.0)
    assert check(reader, ours) == ["running", "running"]
    second.report(float("nan"), 1)
    second.report(3.0, 3)
    check(reader, ours)
    second.report(2.5, 2)  # later, for a step before the last one
    assert [r.step for r in read_by(reader, ours)[1][1]] == [0, 1, 2, 3]
    third = reported(ours, 0.5)
    theirs.tell(second, state=TrialState.PRUNED)
    assert check(reader, ours) == ["running", "stopped", "running"]
    theirs.enqueue_trial({"x": 0.25})
    theirs.tell(third.number, 0.5)
    theirs.tell(first, state=TrialState.FAIL)
    assert check(reader, ours) == ["failed", "stopped", "complete", "waiting"]
    waiting = theirs.ask()
    waiting.suggest_float("x", 0.0, 1.0)
    waiting.set_constraint("size", 1.0)
    theirs.tell(waiting, 0.75)
    assert check(reader, ours) == ["failed", "stopped", "complete", "complete"]
    assert "constraint size" in dict(read_by(reader, ours)[0][3].metrics)


def test_a_new_study_under_the_number_of_a_deleted_one_is_read_anew(url):
    storage, reader = optuna.storages.RDBStorage(url), optuna_history.OptunaReader()
    for n in (3, 3, 5):
        made = optuna.create_study(storage=storage, study_name="s")
        number = made._study_id
        for k in range(n):
            made.tell(reported(made, 1.0 / (n + k)), k + n)
            check(reader, made)
        storage.delete_study(made._study_id)
    assert optuna.create_study(storage=storage, study_name="s")._study_id == number


def test_a_copied_study_is_another_one():
    storage, reader = optuna.storages.InMemoryStorage(), optuna_history.OptunaReader()
    made = optuna.create_study(storage=storage, study_name="a")
    for k in range(4):
        made.tell(reported(made, 1.0), k)
    check(reader, made)
    optuna.copy_study(
        from_study_name="a", from_storage=storage, to_storage=storage, to_study_name="b"
    )
    copied = optuna.load_study(study_name="b", storage=storage)
    copied.tell(reported(copied, 7.0), 7.0)
    assert len(check(reader, copied)) == 5
    assert len(check(reader, made)) == 4


@pytest.mark.parametrize("stopper", ["median", "asha"])
def test_a_report_reads_the_trials_that_run_however_many_have_ended(stopper, monkeypatch):
    read = []
    real = optuna_history.record_of
    monkeypatch.setattr(
        optuna_history, "record_of", lambda t, *rest: read.append(t.number) or real(t, *rest)
    )
    made = optuna.create_study(pruner=bridge.as_optuna_pruner(stopper))
    for k in range(60):
        trial = reported(made)
        read.clear()
        for step in range(6):
            trial.report(1.0 / (k + step + 1), step)
            assert not trial.should_prune()
        assert read == [k - 1, *[k] * 6][k == 0 :]
        made.tell(trial, 1.0 / (k + 1))


def test_a_pruner_decides_alike_whether_it_followed_the_study_or_has_just_come():
    kept = bridge.as_optuna_pruner("median", options={"min_reports": 2, "min_trials": 3})
    made = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3), pruner=kept)
    n_pruned = 0
    for _ in range(30):
        trial = made.ask()
        x, is_pruned = trial.suggest_float("x", 0.0, 1.0), False
        for step in range(5):
            trial.report(x + 1 / (step + 1), step)
            fresh = pickle.loads(pickle.dumps(kept))
            is_pruned = kept.prune(made, made.trials[-1])
            assert fresh.prune(made, made.trials[-1]) == is_pruned
            if is_pruned:
                break
        n_pruned += is_pruned
        made.tell(trial, None if is_pruned else x, TrialState.PRUNED if is_pruned else None)
    assert 5 < n_pruned < 25


def test_trials_of_several_threads_share_a_bridge():
    def target(trial):
        x = trial.suggest_float("x", 0.0, 1.0)
        for step in range(6):
            trial.report(x + 1 / (step + 1), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return x

    made = optuna.create_study(
        sampler=bridge.as_optuna_sampler("random", seed=1), pruner=bridge.as_optuna_pruner("asha")
    )
    made.optimize(target, n_trials=60, n_jobs=4)
    states = [t.state for t in made.trials]
    assert len(states) == 60
    assert set(states) == {TrialState.COMPLETE, TrialState.PRUNED}
