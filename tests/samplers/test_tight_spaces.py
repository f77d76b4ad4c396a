"""Every sampler in spaces that leave few points: legal, distinct, not next to each other."""

from itertools import combinations

import numpy as np
import pytest

from tunekit import registry
from tunekit.errors import InvalidSpace, SpaceExhausted
from tunekit.records import Outcome, Proposal, TrialState
from tunekit.samplers.base import sample
from tunekit.samplers.random_streams import stream
from tunekit.spaces import Categorical, Float, Int, Params, Repeat, Space
from tunekit.testing.samplers import ended, measured, view_of

SAMPLERS = (
    "auto", "bayesian", "evolution", "mcts", "tpe", "random", "sobol", "cmaes", "smbo", "racing",
    "grid",
)  # fmt: skip
WORDS = Repeat(24, 24, Space(bits=Categorical([2, 3, 4, 8])))

SPACES = {
    "equation of choices": Space(e=WORDS, constraints="sum(e[*].bits) == 64"),
    "chain": Space(
        {f"x{i}": Int(0, 9) for i in range(5)},
        constraints=["x0 < x1", "x1 < x2", "x2 < x3", "x3 < x4", "x0 + x4 == 9"],
    ),
    "branches": Space(
        l=Repeat(
            1,
            4,
            Space(op=Categorical({"conv": Space(u=Int(1, 64)), "fc": Space(w=Int(1, 512))})),
        ),
        lr=Float(1e-5, 1, log=True),
        constraints=[
            "30 <= sum(l[*].op.conv.u) + sum(l[*].op.fc.w) <= 33",
            "count(l[*].op == 'conv') >= 2",
            "lr * l <= 1e-3",
        ],
    ),
    "alternatives": Space(
        a=["x", "y"],
        b=Int(0, 99),
        c=Int(0, 99),
        constraints=["b == 2 * c if a == 'x' else b == 3 * c + 1", "b + c >= 30"],
    ),
}


def trials_of(name, space, n, known=()):
    """Return the first trials of a study of a sampler, after those that are known."""
    sampler, trials = registry.make("sampler", name), list(known)
    for number in range(len(trials), n):
        try:
            (proposal,) = sampler.suggest(view_of(space, trials), [number])
        except SpaceExhausted:
            break
        assert space.validate(proposal.params) == proposal.params
        outcome = Outcome(TrialState.COMPLETE, metrics=measured(proposal.params))
        trials.append(ended(number, proposal, outcome))
    return trials


def difference(space, points):
    """Return the mean share of the parameters in which two points differ."""
    rows = np.array([[str(dict.get(p, path)) for path in space.by_path] for p in points])
    return float(np.mean([(a != b).mean() for a, b in combinations(rows, 2)]))


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("given", SPACES)
def test_every_sampler_finds_legal_points_that_are_not_all_next_to_each_other(name, given):
    space = SPACES[given]
    points = [t.params for t in trials_of(name, space, 14)]
    assert len(points) == 14
    assert len({tuple(p.items()) for p in points}) >= 7
    assert difference(space, points) > 0.15


def test_random_points_of_an_equation_are_as_far_from_each_other_as_its_solutions():
    space, bits = SPACES["equation of choices"], (2, 3, 4, 8)

    def n_ways(n, total):
        ways = {0: 1}
        for _ in range(n):
            new = {}
            for so_far, k in ways.items():
                for b in bits:
                    new[so_far + b] = new.get(so_far + b, 0) + k
            ways = new
        return ways.get(total, 0)

    # Two independent solutions differ in a word with 1 - sum of the squared shares of its values.
    shares = [n_ways(23, 64 - b) / n_ways(24, 64) for b in bits]
    exact = 1 - sum(s * s for s in shares)
    points = [t.params for t in trials_of("random", space, 60)]
    words = [[p[f"e.{i}.bits"] for i in range(24)] for p in points]
    differing = np.mean([np.mean(np.not_equal(a, b)) for a, b in combinations(words, 2)])
    assert exact == pytest.approx(0.602, abs=0.001)
    assert float(differing) == pytest.approx(exact, abs=0.09)


# A product of hashes: bounds say nothing, and no walk finds one of the 10 points in a million.
HIDDEN = Space(
    a=Int(0, 999),
    b=Int(0, 999),
    c=Int(0, 9),
    constraints="(a * 7919 + b * 104729 + c * 1299709) % 100003 == 4242",
)


def hidden_point():
    return next(
        Params({"a": a, "b": b, "c": c}, HIDDEN)
        for c in range(10)
        for a in range(1000)
        for b in [(4242 - a * 7919 - c * 1299709) * pow(104729, -1, 100003) % 100003]
        if b < 1000
    )


@pytest.mark.parametrize("name", ["random", "bayesian", "evolution", "tpe", "smbo"])
def test_a_told_or_enqueued_point_starts_the_search_where_the_default_is_infeasible(name):
    assert HIDDEN.violated(HIDDEN.default())
    told = ended(0, Proposal(hidden_point(), "user"))
    trials = trials_of(name, HIDDEN, 2, [told])
    assert [HIDDEN.violated(t.params) for t in trials] == [[]] * 2
    sampler = registry.make("sampler", name)
    view = view_of(HIDDEN, fixed={5: hidden_point()})
    (proposal,) = sampler.suggest(view, [1])
    assert not HIDDEN.violated(proposal.params)


def test_without_any_known_point_the_constraint_in_the_way_is_named():
    with pytest.raises(InvalidSpace, match=r"% 100003 == 4242\" is in the way"):
        sample(HIDDEN, stream(0, 0))
