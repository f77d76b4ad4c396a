"""Peers run on trees, when their libraries are installed; one that is missing is told."""

from __future__ import annotations

import pytest

from tunekit.bench.contenders import Contender
from tunekit.bench.episode import play
from tunekit.bench.peers.base import PEERS, MissingPeer, Setting, make_peer, point_key
from tunekit.bench.peers.union import Union, Worst
from tunekit.bench.problem import Problem
from tunekit.errors import InvalidArgument
from tunekit.records import TrialState
from tunekit.samplers.base import sample
from tunekit.samplers.random_streams import stream
from tunekit.spaces import Categorical, Float, Int, Repeat, Space, When
from tunekit.testing.problems import TREE, two

HARD = Space(
    model=Categorical(
        {
            "svm": Space(C=Float(1e-3, 1e3, log=True), kernel=["linear", "rbf"]),
            ("forest", "boost"): Space(trees=Int(10, 500, log=True), size=Float(0, 1, step=0.25)),
        }
    ),
    layers=Repeat(0, 3, Space(units=Int(8, 64, step=8))),
    cache=Int(1, 64, special=(-1,)),
    level=Categorical(["low", "mid", "high"], ordered=True),
    kind="constant",
    flag=[True, None, 2, "x"],
    when=[When("level", ["mid", "high"], Space(extra=Float(-1, 1)))],
)

SETTING = Setting(0, 10)
INSTALLED = [
    name
    for name, peer in PEERS.items()
    if not peer.missing() and name != "optuna-auto"  # which is loaded from the network
]


def played(name, problem, **options):
    setting = Setting(3, options["n_trials"], options.get("workers", 1))
    proposer = make_peer(Contender("peer", name), problem.space, setting)
    return play(problem, proposer, keep_params=True, **options)


def fragile(params):
    if params["model"] == "boost":
        raise ValueError("out of memory")
    return len(params.nested()["layers"]) + abs(float(params["cache"])) / 64


@pytest.mark.parametrize("name", INSTALLED)
def test_a_peer_runs_on_a_tree_with_failures_and_pending_trials(name):
    episode = played(name, Problem("t/hard", HARD, fragile), n_trials=14, workers=3)
    assert len(episode.losses) == 14
    for params in episode.params:
        assert HARD.validate(params) == params
    failed = [params["model"] == "boost" for params in episode.params]
    assert failed == [state == TrialState.FAILED for state in episode.states]
    assert episode.error == ("ValueError: out of memory" if any(failed) else "")


@pytest.mark.parametrize("name", INSTALLED)
def test_a_peer_with_default_starts_there(name):
    episode = played(f"{name}+default", Problem("t/hard", HARD, fragile), n_trials=2)
    assert episode.params[0] == HARD.default()
    assert episode.params[1] != HARD.default()


def test_a_peer_learns():
    losses = played("optuna-tpe", two()[0], n_trials=60).losses
    assert sum(losses[-15:]) < sum(losses[:15])


def test_the_same_point_asked_twice_is_told_twice():
    space = Space(k=["a", "b"])
    episode = played("optuna-random", Problem("t/k", space, lambda p: 1.0), n_trials=9, workers=4)
    assert len(episode.losses) == 9


def test_the_union_of_a_tree_encodes_and_decodes_every_point():
    union = Union(HARD)
    for number in range(100):
        point = sample(HARD, stream(1, number))
        assert union.point(union.values(point)) == point
    assert all(dim.lo <= dim.default <= dim.hi for dim in union.dims)
    assert "kind" not in {dim.name for dim in union.dims}


def test_a_failure_counts_as_the_worst_loss_so_far():
    worst = Worst()
    assert [worst.or_loss(v) for v in (None, 2.0, 1.0, None)] == [0.0, 2.0, 1.0, 2.0]


def test_a_peer_that_is_not_installed_says_what_to_install(monkeypatch):
    monkeypatch.setattr("tunekit.bench.peers.base.find_spec", lambda name: None)
    with pytest.raises(MissingPeer, match="pip install optuna"):
        make_peer(Contender("peer", "optuna-tpe"), TREE, SETTING)


def test_an_unknown_peer_and_unknown_options_are_refused():
    with pytest.raises(InvalidArgument, match="did you mean"):
        make_peer(Contender("peer", "optuna-tpee"), TREE, SETTING)
    with pytest.raises(InvalidArgument, match="wrong"):
        make_peer(Contender("peer", "optuna-tpe", (("wrong", 1),)), TREE, SETTING)


def test_points_are_told_apart_by_value_and_type():
    assert point_key({"a": 1, "b": 2}) == point_key({"b": 2, "a": 1})
    assert point_key({"a": True}) != point_key({"a": 1})
