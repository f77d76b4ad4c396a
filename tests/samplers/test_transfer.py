"""Earlier studies help where they are related, and do no harm where they are not."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from statistics import median

import numpy as np
import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument, StudyExists, UnknownStudy
from tunekit.samplers.base import sample
from tunekit.samplers.bayesian.ensemble import BlendedImprovement
from tunekit.samplers.bayesian.fitting import fitted
from tunekit.samplers.bayesian.past_studies import PastStudy, placed
from tunekit.samplers.bayesian.sampler import BayesianSampler
from tunekit.samplers.bayesian.training_data import standardised, structure_of
from tunekit.samplers.bayesian.transfer import portfolio, rank_weights, sources_of
from tunekit.samplers.random_streams import stream
from tunekit.spaces import Categorical, Float, Int, Params, Space
from tunekit.spaces.encode import Encoder
from tunekit.testing.samplers import TREE, TWO, ended, run, view_of

SPACE = Space(
    model=Categorical(
        {
            "a": Space(x=Float(0, 1), y=Float(0, 1)),
            "b": Space(u=Float(0, 1), v=Float(0, 1), w=Float(0, 1)),
        }
    ),
    lr=Float(1e-4, 1, log=True, default=0.5),
)


def loss_of(p, shift=0.0):
    distance = (np.log10(p["lr"]) + 2.5 + shift) ** 2 / 4
    if p["model"] == "a":
        return 0.3 + distance + (p["x"] - 0.3) ** 2 + (p["y"] - 0.3) ** 2
    return distance + (p["u"] - 0.8 + shift) ** 2 + (p["v"] - 0.8) ** 2 + (p["w"] - 0.3) ** 2


def past(name, loss, space=SPACE, n=60):
    points = [sample(space, stream(5, k)) for k in range(n)]
    return PastStudy(name, n, tuple((p, float(loss(p))) for p in points))


RELATED = past("related", partial(loss_of, shift=0.05))
OPPOSITE = past("opposite", lambda p: -loss_of(p))


def best_losses(n, *, seed, **options):
    sampler = BayesianSampler(**options)
    trials = []
    for number in range(n):
        proposal = sampler.suggest(view_of(SPACE, trials, seed=seed), [number])[0]
        record = ended(number, proposal)
        trials.append(replace(record, metrics={"loss": float(loss_of(proposal.params))}))
    losses = [t.metrics["loss"] for t in trials]
    return np.minimum.accumulate(losses)


def models(*studies):
    encoder = Encoder(SPACE)
    return sources_of(studies, encoder, structure_of(encoder)), encoder


def own_model(n, shift=0.0):
    encoder = Encoder(SPACE)
    points = [sample(SPACE, stream(9, k)) for k in range(n)]
    y = standardised(np.array([loss_of(p, shift) for p in points]))
    return fitted(structure_of(encoder), encoder.encode(points), y)


def test_a_related_study_speeds_up_and_an_opposite_one_does_little_harm():
    plain = [best_losses(12, seed=s) for s in range(3)]
    warm = [best_losses(8, seed=s, past=[RELATED.to_dict()]) for s in range(3)]
    wrong = [best_losses(18, seed=s, past=[OPPOSITE.to_dict()]) for s in range(3)]
    assert median(r[7] for r in warm) < 0.3 * median(r[7] for r in plain)
    assert median(r[17] for r in wrong) < median(r[11] for r in plain)


def test_weights_favour_the_study_that_orders_the_trials_right():
    sources, _ = models(RELATED, OPPOSITE)
    weights = rank_weights(own_model(6), [s.gp for s in sources], stream(1, 1))
    assert weights.sum() == pytest.approx(1.0)
    assert weights[0] > 0.5
    assert weights[1] < 0.02


@pytest.mark.parametrize(("n", "least"), [(6, 0.0), (10, 1 / 3), (30, 1 / 3)])
def test_the_own_model_keeps_its_floor_from_ten_trials(n, least):
    sources, _ = models(RELATED, replace(RELATED, name="again"))
    weights = rank_weights(own_model(n), [s.gp for s in sources], stream(1, 1))
    assert weights[-1] >= least - 1e-12
    assert weights.sum() == pytest.approx(1.0)


def test_winners_complement_each_other():
    other = past("other", lambda p: (p["x"] - 0.9) ** 2 if p["model"] == "a" else 1.0)
    sources, encoder = models(RELATED, other, replace(RELATED, name="again"))
    chosen = portfolio(sources, encoder)
    assert 2 <= len(chosen) <= 3
    assert {p["model"] for p in chosen} == {"a", "b"}
    assert portfolio((), encoder) == []


def test_the_winner_is_tried_after_the_default():
    sampler = BayesianSampler(past=[RELATED.to_dict()])
    first = ended(0, sampler.suggest(view_of(SPACE), [0])[0])
    assert first.params == SPACE.default()
    second = sampler.suggest(view_of(SPACE, [first]), [1])[0]
    assert second.params in [p for p, _ in RELATED.points(SPACE)[:5]]
    assert "related (60 of 60 trials usable)" in second.reason


def test_a_proposal_says_whose_model_it_used():
    sampler = BayesianSampler(past=[RELATED.to_dict(), OPPOSITE.to_dict()])
    trials = [replace(t, metrics={"loss": loss_of(t.params)}) for t in run(sampler, SPACE, 8)]
    proposal = sampler.suggest(view_of(SPACE, trials), [8])[0]
    assert set(proposal.evidence["past"]) == {"related", "opposite"}
    assert proposal.evidence["past"]["related"]["points"] == 60
    assert "related with" in proposal.reason
    fresh = BayesianSampler(past=json.loads(json.dumps([RELATED.to_dict(), OPPOSITE.to_dict()])))
    assert fresh.suggest(view_of(SPACE, trials), [8]) == [proposal]


def test_the_gradient_of_the_blend_is_its_slope():
    sources, encoder = models(RELATED)
    own = own_model(8)
    pending = encoder.encode([SPACE.default()])
    for noisy in (0, 4):
        score = BlendedImprovement(
            own, pending, others=[(0.4, sources[0].gp)], noisy=noisy, rng=stream(1, 2)
        )
        x = encoder.encode([sample(SPACE, stream(4, k)) for k in range(6)])
        value, gradient = score.climber(x)(x)
        assert value == pytest.approx(score(x))
        j = encoder.index("lr")
        step = np.zeros_like(x)
        step[:, j] = 1e-6
        slope = (score(x + step) - score(x - step)) / 2e-6
        assert gradient[:, j] == pytest.approx(slope, rel=1e-3, abs=1e-5)


def test_points_of_another_space_are_placed_or_dropped():
    new = Space(
        model=Categorical({"b": Space(u=Float(0, 0.5), v=Float(0, 1), k=Int(1, 9, step=2))}),
        lr=Float(1e-3, 0.1, log=True),
        extra=[1, 2],
    )
    old = Params({"model": "b", "model.b.u": 0.8, "model.b.v": 0.25, "model.b.w": 0.1, "lr": 0.5})
    point = placed(old, new)
    assert point == {
        "model": "b",
        "model.b.u": 0.5,
        "model.b.v": 0.25,
        "model.b.k": 5,
        "lr": 0.1,
        "extra": 1,
    }
    assert new.validate(point) == point
    assert placed(Params({**old, "model": "a"}), new) is None
    assert placed({**old, "lr": "fast"}, new) is None
    assert placed({"other": 1}, new) is None
    assert placed({"k": 4.2}, Space(k=Int(1, 9, step=2))) == {"k": 5}
    assert (
        placed({"a": 9, "b": 9}, Space(a=Int(1, 16), b=Int(1, 16), constraints=["a * b < 9"]))
        is None
    )


def test_a_past_without_a_usable_point_changes_nothing():
    strange = past("strange", lambda p: float(p["q"]), Space(q=Float(0, 1)))
    trials = run(BayesianSampler(), SPACE, 8)
    view = view_of(SPACE, trials)
    assert BayesianSampler(past=[strange.to_dict()]).suggest(
        view, [8]
    ) == BayesianSampler().suggest(view, [8])


@pytest.mark.parametrize("given", ["first", [3], [{"study": "a"}], [RELATED.to_dict()] * 2])
def test_another_form_of_a_past_is_refused(given):
    with pytest.raises(InvalidArgument, match="past"):
        BayesianSampler(past=given)


def test_several_objectives_have_no_past():
    with pytest.raises(InvalidArgument, match="one loss"):
        BayesianSampler(past=[RELATED.to_dict()]).suggest(view_of(TREE, objectives=TWO), [0])


def objective(trial):
    return loss_of(trial.params)


def test_a_study_starts_warm_and_goes_on_with_what_it_has_copied(tmp_path):
    url = f"sqlite:///{tmp_path / 's.db'}"
    first = tk.study("first", space=SPACE, storage=url, sampler="random", seed=1)
    first.optimize(objective, 12)
    make = partial(tk.study, "second", space=SPACE, storage=url, seed=2)
    second = make(warm_start="first")
    second.optimize(objective, 4)
    assert second.trials[1].params == first.best_params
    first.optimize(objective, 10)
    again = make(warm_start=[first])
    again.optimize(objective, 2)
    tk.load_study("second", storage=url).optimize(objective, 2)
    assert len(again.record().spec.sampler_options["past"][0]["trials"]) == 12
    assert len(again.trials) == 8
    assert again.replay() == []
    with pytest.raises(StudyExists, match="warm_start"):
        make(warm_start=["first", "third"])
    assert len(tk.study("second", space=SPACE, storage=url).trials) == 8


def test_a_warm_start_that_cannot_be_is_refused_before_anything_is_written():
    first = tk.study("first", space=SPACE, objectives={"loss": "maximize"}, sampler="random")
    with pytest.raises(InvalidArgument, match="no feasible trial with a result"):
        tk.study(storage=first.storage, warm_start=["first"])
    first.optimize(objective, 3)
    refused = [
        ({"warm_start": ["frist"]}, UnknownStudy),
        ({"warm_start": []}, InvalidArgument),
        ({"warm_start": [3]}, InvalidArgument),
        ({"warm_start": ["first", first]}, InvalidArgument),
        ({"warm_start": "first", "objectives": "loss"}, InvalidArgument),
        ({"warm_start": "first", "objectives": ["a", "b"]}, InvalidArgument),
        ({"warm_start": "first", "sampler": "random"}, InvalidArgument),
        ({"warm_start": "first", "sampler": BayesianSampler()}, InvalidArgument),
    ]
    for arguments, error in refused:
        with pytest.raises(error):
            tk.study("new", space=SPACE, storage=first.storage, **arguments)
    assert [s.spec.name for s in first.storage.list_studies()] == ["first"]
