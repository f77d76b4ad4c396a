"""`botorch` in a space with a fidelity: cheap trials where they tell much about full ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import tunekit as tk
from tunekit.records import Branch, Checkpoint, ObjectiveSpec, Outcome, TrialState
from tunekit.samplers.bayesian.fidelity import Fidelity
from tunekit.samplers.botorch.sampler import BoTorchSampler
from tunekit.spaces import Params
from tunekit.spaces.encode import Encoder
from tunekit.testing.samplers import check, check_cheap, ended, view_of

torch = pytest.importorskip("torch")
pytest.importorskip("botorch")

SPACE = tk.Space(
    x=tk.Float(0.0, 1.0),
    y=tk.Float(0.0, 1.0),
    kind=["a", "b"],
    epochs=tk.Int(1, 27, log=True, fidelity=True),
)


def loss(p):
    left = 1.0 - np.log(p["epochs"]) / np.log(27)
    bowl = (p["x"] - 0.6) ** 2 + (p["y"] - 0.2) ** 2 + 0.1 * np.sin(9.0 * p["x"] * p["y"])
    return {"loss": bowl + 0.1 * (p["kind"] == "a") + 0.3 * left}


def small():
    return BoTorchSampler(n_draws=16)


def study(n, metrics=loss, *, fresh=False, **options):
    trials, sampler = [], small()
    for number in range(n):
        sampler = small() if fresh else sampler
        (proposal,) = sampler.suggest(view_of(SPACE, trials, **options), [number])
        outcome = Outcome(TrialState.COMPLETE, metrics=metrics(proposal.params))
        trials.append(ended(number, proposal, outcome))
    return trials


def test_cheap_trials_tell_of_full_ones_and_a_fresh_sampler_agrees():
    trials = study(17)
    assert [t.params for t in study(17, fresh=True)] == [t.params for t in trials]
    check_cheap(trials, "epochs", 27)
    full = [t for t in trials if t.params["epochs"] == 27]
    assert len(full) < len(trials) / 2
    view = view_of(SPACE, trials)
    check(view, [17, 18], small().suggest(view, [17, 18]))


def test_a_full_run_that_is_due_takes_the_best_of_the_points_tried_for_less():
    trials = study(14)
    due = [t for t in trials if "best_of" in t.evidence.get("fidelity", {})]
    assert due
    for t in due:
        assert t.params["epochs"] == 27
        point = {**t.params, "epochs": 0}
        assert point in [{**e.params, "epochs": 0} for e in trials[: t.number]]


def test_a_full_run_goes_on_from_the_checkpoint_of_the_cheaper_one():
    trials = study(14)
    due = next(t for t in trials if "best_of" in t.evidence.get("fidelity", {}))
    point = {**due.params, "epochs": 0}
    cheap = next(t for t in trials if {**t.params, "epochs": 0} == point)
    before = [
        replace(t, checkpoints=(Checkpoint(int(t.params["epochs"]), 0),))
        for t in trials[: due.number]
    ]
    (again,) = small().suggest(view_of(SPACE, before), [due.number])
    assert again.params == due.params
    assert again.branch == Branch(cheap.number, cheap.params["epochs"])
    assert f"goes on from trial {cheap.number}" in again.reason


def test_a_study_replays_and_only_full_runs_are_the_best():
    options = {"n_draws": 16}
    s = tk.study(space=SPACE, sampler="botorch", sampler_options=options, seed=1)
    s.optimize(lambda trial: -loss(trial.params)["loss"] * trial.params["epochs"], n_trials=16)
    assert {t.params["epochs"] for t in s.trials} > {27}
    assert s.best_trial.params["epochs"] == 27
    assert s.replay() == []


def test_two_objectives_choose_a_fidelity_as_well():
    objectives = (ObjectiveSpec("loss"), ObjectiveSpec("size"))
    trials = study(13, lambda p: {**loss(p), "size": p["x"]}, objectives=objectives)
    assert all("fidelity" in t.evidence for t in trials[12:])


def test_a_batch_runs_no_point_at_several_fidelities():
    batch = small().suggest(view_of(SPACE, study(14)), list(range(14, 18)))
    points = [(round(p.params["x"], 3), p.params["kind"]) for p in batch]
    assert len(set(points)) == len(points)


def test_a_user_fixes_the_fidelity_of_a_trial():
    view = view_of(SPACE, study(13), fixed={13: Params(epochs=5)})
    (proposal,) = small().suggest(view, [13])
    assert proposal.params["epochs"] == 5


def test_the_fidelity_has_a_longer_length_scale_a_priori():
    from tunekit.samplers.botorch.embedding import UnionEmbedding

    encoder = Encoder(SPACE)
    fidelity = Fidelity.of(encoder)
    plain = UnionEmbedding(encoder, torch.device("cpu"))
    stretched = UnionEmbedding(encoder, torch.device("cpu"), stretched=fidelity.columns)
    rows = plain.tensor(
        encoder.encode([{"x": 0.2, "y": 0.5, "kind": "a", "epochs": e} for e in (1, 27)])
    )
    gaps = [float(torch.linalg.norm(at[1] - at[0])) for at in (plain(rows), stretched(rows))]
    assert gaps[1] == pytest.approx(gaps[0] / 8.0)
    lengths = stretched.column_lengths(np.zeros(5))
    assert lengths[fidelity.columns[0]] == pytest.approx(np.log(8.0))


def test_a_run_at_a_row_tells_of_another_what_conditioning_on_it_removes():
    from tunekit.samplers.botorch.embedding import UnionEmbedding
    from tunekit.samplers.botorch.fidelity import RowProcess
    from tunekit.samplers.botorch.fitting import fitted
    from tunekit.samplers.botorch.processes import process_of

    encoder = Encoder(tk.Space(x=tk.Float(0.0, 1.0), y=tk.Float(0.0, 1.0)))
    embedding = UnionEmbedding(encoder, torch.device("cpu"))
    torch.manual_seed(2)
    x = torch.rand(12, 2, dtype=torch.double)
    y = torch.sin(5.0 * x[:, 0]) + 0.3 * torch.randn(12, dtype=torch.double)
    process = RowProcess(process_of(x, y, fitted(x, y, list(range(12)))), embedding)
    rows = np.array([[0.9, 0.9], [0.95, 0.8]])
    mean, covariance = process.joint(rows)
    assert np.allclose(process.predict(rows), [mean, np.diag(covariance)])
    noise = np.exp(process.parameters.noise)
    after = process.with_data(rows[:1], mean[:1], noise).joint(rows)[1][1, 1]
    told = covariance[0, 1] ** 2 / (covariance[0, 0] + noise)
    assert covariance[1, 1] - after == pytest.approx(told, rel=1e-6)


def test_the_moments_of_a_mixture_are_those_of_its_draws():
    from tunekit.samplers.botorch.fitting import fitted
    from tunekit.samplers.botorch.processes import process_of

    torch.manual_seed(3)
    x, at = torch.rand(10, 6, dtype=torch.double), torch.rand(5, 6, dtype=torch.double)
    y = torch.sin(6.0 * x[:, 0]) + x[:, 1] * x[:, 2]
    y = (y - y.mean()) / y.std()
    process = process_of(x, y, fitted(x, y, list(range(10)), is_sparse=True))
    mean, covariance = process.joint(at)
    values = process.drawn(8000)(at)
    assert torch.allclose(values.mean(dim=0), mean, atol=0.05)
    assert torch.allclose(torch.cov(values.T), covariance, atol=0.06)
