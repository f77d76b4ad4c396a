"""`botorch`: embedding, acquisitions, batches, devices, and what the processes learn."""

from __future__ import annotations

import logging
import subprocess
import sys

import numpy as np
import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument, MissingExtra
from tunekit.records import MetricConstraint, ObjectiveSpec, Outcome, Proposal, TrialState
from tunekit.samplers.base import sample, suggested
from tunekit.samplers.botorch import sampler as module
from tunekit.samplers.botorch.sampler import BoTorchSampler
from tunekit.samplers.random_streams import stream
from tunekit.spaces.encode import Encoder
from tunekit.testing.samplers import TREE, ended, view_of

torch = pytest.importorskip("torch")
pytest.importorskip("botorch")

SQUARE = tk.Space(x=tk.Float(-1.0, 1.0), y=tk.Float(-1.0, 1.0))
LOSS = (ObjectiveSpec("loss"),)
TWO = (ObjectiveSpec("f"), ObjectiveSpec("g"))


def trials_of(space, n, metrics, *, state=TrialState.COMPLETE):
    points = [sample(space, stream(5, k)) for k in range(n)]
    return [
        ended(k, Proposal(p, "random"), Outcome(state, metrics=metrics(p)))
        for k, p in enumerate(points)
    ]


def bowl(p):
    return {"loss": (p["x"] - 0.3) ** 2 + (p["y"] + 0.5) ** 2}


def small(**options):
    return BoTorchSampler(**{"n_draws": 16, **options})


def test_a_number_of_a_branch_lies_on_a_circle_around_its_absence():
    from tunekit.samplers.botorch.embedding import UnionEmbedding

    encoder = Encoder(TREE)
    embedding = UnionEmbedding(encoder, torch.device("cpu"))
    linear = TREE.complete({"model": "svm", "model.svm.kernel": "linear"})
    rbf = [
        TREE.complete({"model": "svm", "model.svm.kernel": "rbf", "model.svm.kernel.rbf.gamma": g})
        for g in (1e-4, 0.03, 10.0)
    ]
    rows = embedding.tensor(encoder.encode([linear, *rbf]))
    at = embedding(rows)
    assert not torch.isnan(at).any()
    gaps = torch.linalg.norm(at[1:] - at[0], dim=1)
    assert torch.allclose(gaps, gaps[0].expand(3)), "absent is equally far from every value"
    own = torch.cdist(at[1:], at[1:])
    assert own[0, 2] > own[0, 1] > 0


def test_the_embedding_has_gradients_in_active_numbers_only():
    from tunekit.samplers.botorch.embedding import UnionEmbedding

    encoder = Encoder(TREE)
    embedding = UnionEmbedding(encoder, torch.device("cpu"))
    rows = embedding.tensor(encoder.encode([TREE.complete({"model": "forest"})]))
    rows.requires_grad_(True)
    embedding(rows).sum().backward()
    moving = {encoder.columns[j].path for j in torch.nonzero(rows.grad[0].nan_to_num(0.0))[:, 0]}
    assert moving == {"model.forest|boost.trees", "model.forest|boost.depth"}


@pytest.mark.parametrize(
    "n_objectives",
    [1, 2, pytest.param(4, marks=pytest.mark.slow), pytest.param(5, marks=pytest.mark.slow)],
)
def test_the_acquisition_follows_from_the_number_of_objectives(n_objectives):
    objectives = tuple(ObjectiveSpec(f"f{k}") for k in range(n_objectives))
    trials = trials_of(
        SQUARE,
        12,
        lambda p: {f"f{k}": (p["x"] - k / 4) ** 2 + p["y"] for k in range(n_objectives)},
    )
    (found,) = small().suggest(view_of(SQUARE, trials, objectives=objectives), [12])
    expected = {1: "qLogNEI", 2: "qLogNEHVI", 4: "qLogNEHVI", 5: "qLogNParEGO"}[n_objectives]
    assert found.evidence["acquisition"] == expected and expected in found.reason
    assert found.sampler == "botorch"


@pytest.mark.slow
def test_it_closes_in_on_a_minimum_far_from_the_default():
    study = tk.study(space=SQUARE, sampler=small(), seed=1)
    study.optimize(lambda trial: bowl(trial.params)["loss"], n_trials=16)
    assert study.best_value < 1e-3


@pytest.mark.slow
def test_a_batch_of_eight_spreads_out_and_starts_with_the_point_for_one():
    view = view_of(SQUARE, trials_of(SQUARE, 14, bowl))
    batch = suggested(small(), view, list(range(20, 28)))
    points = np.array([[p.params["x"], p.params["y"]] for p in batch])
    gaps = np.linalg.norm(points[:, None] - points, axis=2)[~np.eye(8, dtype=bool)]
    assert gaps.min() > 1e-3
    assert batch[0] == suggested(small(), view, [20])[0]


@pytest.mark.slow
def test_a_running_trial_moves_the_proposal_away_from_its_point():
    trials = trials_of(SQUARE, 10, bowl)
    (alone,) = small().suggest(view_of(SQUARE, trials), [30])
    running = ended(29, Proposal(alone.params, "x"), Outcome(TrialState.RUNNING))
    (other,) = small().suggest(view_of(SQUARE, [*trials, running]), [30])
    assert other.params != alone.params


@pytest.mark.slow
def test_a_metric_constraint_keeps_most_proposals_in_its_half_of_the_space():
    constraint = (MetricConstraint("g", "<=", 0.0),)
    study_of = {"objectives": LOSS, "constraints": constraint}
    trials = trials_of(SQUARE, 20, lambda p: {**bowl(p), "g": p["x"]})  # the minimum is outside
    batch = small().suggest(view_of(SQUARE, trials, **study_of), list(range(20, 26)))
    assert sum(p.params["x"] <= 0.02 for p in batch) >= 4
    free = small().suggest(view_of(SQUARE, trials), [20])[0]
    assert free.params["x"] > 0.1


def test_the_drawn_functions_have_the_mean_and_deviation_of_the_posterior():
    from botorch.models import SingleTaskGP

    from tunekit.samplers.botorch.fitting import fitted
    from tunekit.samplers.botorch.processes import process_of

    torch.manual_seed(1)
    x, at = torch.rand(20, 3, dtype=torch.double), torch.rand(9, 3, dtype=torch.double)
    y = torch.sin(4.0 * x[:, 0]) + x[:, 1] + 0.1 * torch.randn(20, dtype=torch.double)
    y = (y - y.mean()) / y.std()
    fit = fitted(x, y, list(range(20)))
    exact = SingleTaskGP(x, y[:, None], outcome_transform=None)
    exact.load_state_dict(fit.states[0])
    posterior = exact.posterior(at)
    values = process_of(x, y, fit).drawn(4000)(at)
    mean, variance = posterior.mean[:, 0], posterior.variance[:, 0]
    assert torch.allclose(values.mean(dim=0), mean, atol=0.05)
    assert torch.allclose(values.std(dim=0), variance.sqrt(), atol=0.05, rtol=0.1)


def test_under_the_sparse_prior_the_parameters_that_matter_have_the_short_length_scales():
    from tunekit.samplers.botorch.fitting import fitted
    from tunekit.samplers.botorch.processes import process_of

    torch.manual_seed(1)
    x, at = torch.rand(30, 40, dtype=torch.double), torch.rand(50, 40, dtype=torch.double)
    true, want = ((2 * (r[:, 3] - 0.3) ** 2 + r[:, 17] * r[:, 3]) for r in (x, at))
    y = (true - true.mean()) / true.std()
    process = process_of(x, y, fitted(x, y, list(range(30)), is_sparse=True))
    lengths = process.log_lengths
    assert set(np.argsort(lengths)[:2]) == {3, 17}
    assert np.sort(lengths)[2] > 5.0, "of the others one end of the range is like the other"
    values = process.drawn(64)(at)
    assert values.shape == (64, 50)
    assert np.corrcoef(values.mean(dim=0), want)[0, 1] > 0.99


def test_a_mixture_shares_the_draws_among_its_processes():
    from tunekit.samplers.botorch.fitting import fitted
    from tunekit.samplers.botorch.processes import process_of

    torch.manual_seed(1)
    x = torch.rand(12, 3, dtype=torch.double)
    process = process_of(x, x[:, 0], fitted(x, x[:, 0], list(range(12)), is_sparse=True))
    assert [len(process.drawn(n)(x)) for n in (1, 6, 64)] == [1, 6, 64]


def test_the_constraints_and_failures_keep_the_plain_prior(monkeypatch):
    from tunekit.samplers.botorch import search

    trials = trials_of(SQUARE, 12, lambda p: {**bowl(p), "g": p["x"]})
    failed = ended(12, Proposal(trials[0].params, "x"), Outcome(TrialState.FAILED))
    constraint = (MetricConstraint("g", "<=", 0.0),)
    view = view_of(SQUARE, [*trials, failed], objectives=LOSS, constraints=constraint)
    taken: list[bool] = []
    real = search.fitted
    monkeypatch.setattr(
        search, "fitted", lambda *a, is_sparse: taken.append(is_sparse) or real(*a)
    )
    small(prior="saas").suggest(view, [13])
    assert taken == [True, False, False]
    small().suggest(view, [13])
    assert taken[3:] == [False, False, False]


@pytest.mark.slow
def test_half_of_a_batch_or_more_avoids_a_region_that_fails_though_it_promises_the_best():
    trials = trials_of(SQUARE, 40, lambda p: {"loss": -p["x"]})
    ended_well = [t for t in trials if t.params["x"] < 0.2]
    failed = [
        ended(t.number, Proposal(t.params, "x"), Outcome(TrialState.FAILED))
        for t in trials
        if t.params["x"] >= 0.2
    ]
    known, unknown = (
        [p.params["x"] for p in small().suggest(view_of(SQUARE, told), list(range(40, 44)))]
        for told in ([*ended_well, *failed], ended_well)
    )
    assert sum(x < 0.25 for x in known) >= 2
    assert min(unknown) > 0.5


@pytest.mark.slow
def test_hyperparameters_are_fitted_again_only_when_the_trials_have_grown(monkeypatch):
    from tunekit.samplers.botorch import search

    fits = []
    real = search.fitted
    monkeypatch.setattr(
        search, "fitted", lambda x, *a, **k: fits.append(len(x)) or real(x, *a, **k)
    )
    trials, sampler = trials_of(SQUARE, 48, bowl), small()
    for n in (40, 41, 45, 46, 48):
        sampler.suggest(view_of(SQUARE, trials[:n]), [50])
    assert fits == [40, 46]


@pytest.mark.parametrize("state", [TrialState.FAILED, TrialState.DIVERGED])
def test_two_objectives_without_a_result_yet_take_a_point_of_the_space(state):
    trials = trials_of(SQUARE, 10, lambda p: {}, state=state)
    (proposal,) = small().suggest(view_of(SQUARE, trials, objectives=TWO), [10])
    assert SQUARE.validate(proposal.params) == proposal.params


def test_two_objectives_get_the_same_proposal_from_a_sampler_that_saw_fewer_trials():
    def front(p, radius):
        return {"f": radius * np.cos(p["x"]), "g": radius * np.sin(p["x"])}

    trials = trials_of(SQUARE, 50, lambda p: front(p, np.exp(8 * abs(p["y"] - 0.4))))
    near = trials_of(SQUARE, 49, lambda p: front(p, 0.01))[48]
    trials[48] = near  # which moves the front, and with it the limit on bad losses
    kept = small()
    kept.suggest(view_of(SQUARE, trials[:47], objectives=TWO), [50])
    view = view_of(SQUARE, trials, objectives=TWO)
    assert kept.suggest(view, [50]) == small().suggest(view, [50])


def test_with_more_trials_than_it_takes_the_best_half_stays():
    from tunekit.samplers.bayesian.training_data import TrialRows
    from tunekit.samplers.botorch.outputs import learnt

    trials = trials_of(SQUARE, 60, bowl)
    known = learnt(view_of(SQUARE, trials), TrialRows(Encoder(SQUARE)), max_rows=20)
    losses = sorted(t.metrics["loss"] for t in trials)
    assert len(known.data.trials) == 20
    assert set(losses[:10]) <= {t.metrics["loss"] for t in known.data.trials}


def test_values_of_known_rows_are_kept_and_equal_a_new_evaluation():
    from tunekit.samplers.botorch.acquisition import DrawnModel
    from tunekit.samplers.botorch.fitting import fitted
    from tunekit.samplers.botorch.processes import process_of

    torch.manual_seed(0)
    x = torch.rand(15, 3, dtype=torch.double)
    y = torch.sin(3.0 * x[:, 0])
    functions = process_of(x, y, fitted(x, y, list(range(15)))).drawn(6)
    new = torch.rand(7, 1, 3, dtype=torch.double)
    together = torch.cat([x[:4].expand(7, 4, 3), new], dim=1)
    kept = DrawnModel([functions], x[:4]).posterior(together).values
    plain = DrawnModel([functions], x[:0]).posterior(together).values
    assert kept.shape == (6, 7, 5, 1) and torch.allclose(kept, plain)


def test_a_device_that_is_not_there_is_told_once_and_the_cpu_proposes(caplog):
    view = view_of(SQUARE, trials_of(SQUARE, 8, bowl))
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with caplog.at_level(logging.WARNING, "tunekit"):
        found = small(device="cuda:7").suggest(view, [8])
        small(device="cuda:7").suggest(view, [8])
    assert [r.getMessage() for r in caplog.records] == [
        'botorch: no device "cuda:7" here (0 CUDA devices); the CPU proposes.'
    ]
    assert found == small().suggest(view, [8])
    with pytest.raises(InvalidArgument, match=r'device=.gpu.*expected "cpu"'):
        small(device="gpu").suggest(view, [8])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"acquisition": "qEI"}, "expected one of auto, qLogNEI"),
        ({"n_draws": 1}, "n_draws"),
        ({"max_trials": 2}, "max_trials"),
        ({"trust_region": 0}, "trust_region"),
        ({"device": 3}, "expected a name"),
        ({"prior": "sparse"}, "expected one of dimension, saas"),
    ],
)
def test_an_option_out_of_range_is_refused(options, said):
    with pytest.raises(InvalidArgument, match=said):
        BoTorchSampler(**options)


def test_an_acquisition_that_does_not_suit_the_objectives_is_refused():
    with pytest.raises(InvalidArgument, match="does not suit 1 objective;"):
        small(acquisition="qLogNEHVI").suggest(view_of(SQUARE), [0])


def test_it_leaves_the_state_of_torch_as_it_was():
    view = view_of(SQUARE, trials_of(SQUARE, 8, bowl))
    torch.manual_seed(4)
    n_threads, before = torch.get_num_threads(), torch.random.get_rng_state()
    small().suggest(view, [8])
    assert torch.get_num_threads() == n_threads
    assert torch.equal(torch.random.get_rng_state(), before)


def test_without_botorch_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="bayesian"):
        BoTorchSampler()


def test_torch_is_loaded_for_the_first_model_and_not_before():
    code = (
        "import sys, tunekit\n"
        "study = tunekit.study(space={'x': tunekit.Float(0, 1)}, sampler='botorch', seed=1)\n"
        "study.optimize(lambda trial: trial.params['x'], n_trials=3)\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
