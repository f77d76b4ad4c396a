"""Population-based training: branches follow a learning rate that has to change."""

import math

import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument
from tunekit.executors.simulated import SimulatedExecutor
from tunekit.records import TrialState
from tunekit.samplers.pbt import PbtSampler
from tunekit.stoppers.pbt import PbtStopper

STEPS = 60
SPACE = tk.Space(lr=tk.Float(1e-3, 1.0, log=True), width=tk.Int(1, 8))


def gain(lr, step):
    """Return the progress of one step: 1 at the best rate, which falls from 0.3 to 0.03."""
    best = 0.3 * 0.1 ** (step / STEPS)
    return math.exp(-((math.log(lr / best) / 0.6) ** 2))


def best_constant():
    rates = [10 ** (-3 + 3 * i / 300) for i in range(301)]
    return max(sum(gain(lr, s) for s in range(STEPS)) / STEPS for lr in rates)


def train(trial):
    state = trial.checkpoint_dir / "progress"
    progress = float(state.read_text()) if state.exists() else 0.0
    first = 0 if trial.resumed_from is None else trial.resumed_from + 1
    for step in range(first, STEPS):
        progress += gain(trial.params["lr"], step) / STEPS
        state.write_text(repr(progress))
        if step % 4 == 3:
            trial.save_checkpoint(step)
        yield 1.0, {"value": progress}
    return progress


def run(tmp_path, seed, population=10):
    study = tk.study(
        space=SPACE,
        direction="maximize",
        sampler=PbtSampler(population=population, resample=0.1),
        stopper=PbtStopper(interval=4),
        seed=seed,
        checkpoints=tk.Checkpoints(tmp_path / "kept", keep_best=0),
    )
    study.optimize(train, n_trials=200, executor=SimulatedExecutor(population))
    return study


@pytest.mark.parametrize("seed", [1, 2])
def test_it_beats_the_best_constant_rate_where_the_best_rate_changes(tmp_path, seed):
    study = run(tmp_path, seed)
    print(f"seed {seed}: {study.best_value:.3f}, best constant {best_constant():.3f}")
    assert study.best_value > best_constant()
    for t in study.trials:
        if t.branch is None or t.branch.step == STEPS - 1:  # a last step has none after it
            continue
        parent = study.trials[t.branch.number]
        assert t.params["width"] == parent.params["width"], "only floats are explored"
        first = study.reports()[t.number][0].step
        assert first == t.branch.step + 1
    rates = [study.best_trial.params["lr"]]
    t = study.best_trial
    while t.branch is not None:
        t = study.trials[t.branch.number]
        rates.append(t.params["lr"])
    assert rates[0] < rates[-1], "the line of the winner goes down with the best rate"


def test_a_stopped_member_has_one_successor_from_a_better_one(tmp_path):
    study = run(tmp_path, 3)
    stopped = [t for t in study.trials if t.state is TrialState.STOPPED]
    assert stopped
    replaced = [t.evidence["replaces"] for t in study.trials if "replaces" in t.evidence]
    assert len(replaced) == len(set(replaced))
    numbers = {t.number for t in stopped}
    assert set(replaced) <= numbers
    late = numbers - set(replaced)  # those that they made room for had ended by then
    assert len(late) < len(numbers) / 4
    for t in stopped:
        assert "among the worst 2 of" in t.end_reason
    assert not [t for t in study.trials if not t.state.is_finished]


def test_its_proposals_come_out_again_and_two_runs_are_the_same(tmp_path):
    one, two = run(tmp_path / "a", 5), run(tmp_path / "b", 5)
    assert one.replay() == []
    assert [(t.params, t.branch) for t in one.trials] == [(t.params, t.branch) for t in two.trials]


def test_options_outside_their_range_are_refused():
    for options in ({"population": 1}, {"factors": ()}, {"factors": (0,)}, {"resample": 2}):
        with pytest.raises(InvalidArgument):
            PbtSampler(**options)
    for options in ({"interval": 0}, {"quantile": 0.0}, {"quantile": 0.6}):
        with pytest.raises(InvalidArgument):
            PbtStopper(**options)
    study = tk.study(space=SPACE, sampler=PbtSampler(explore=["rate"]), seed=1)
    with pytest.raises(InvalidArgument, match="explore"):
        study.optimize(lambda t: 1.0, n_trials=1)
