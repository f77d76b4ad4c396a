"""Properties of the decision who gets which slots."""

import math
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tunekit.sharing.fair_share import Claimant, RunningTrial, decide, fair_shares, whole_shares

QUOTAS = {"ada": None, "bob": 3, "eve": 7, "fay": 0}


@st.composite
def pools(draw, priorities=(0, 1, 5), running=True):
    """Claimants that hold no more than the capacity and their owners' quotas, and the capacity."""
    capacity = draw(st.integers(0, 40))
    left, quota, out = capacity, {k: math.inf if v is None else v for k, v in QUOTAS.items()}, []
    for i in range(draw(st.integers(1, 6))):
        owner = draw(st.sampled_from(sorted(QUOTAS)))
        most = int(min(left, quota[owner])) if running else 0
        n = draw(st.integers(0, most))
        left -= n
        quota[owner] -= n
        held = tuple(
            RunningTrial(k, draw(st.floats(0, 100)), draw(st.floats(0, 100)), draw(st.booleans()))
            for k in range(n)
        )
        out.append(
            Claimant(
                f"study-{i}",
                owner,
                draw(st.sampled_from([0.5, 1.0, 2.0, 3.7])),
                draw(st.sampled_from(priorities)),
                QUOTAS[owner],
                held,
                draw(st.integers(0, 50)),
                draw(st.floats(0, 1000)),
            )
        )
    return out, capacity


def by_owner(claimants, amounts):
    held = Counter()
    for c, n in zip(claimants, amounts, strict=True):
        held[c.owner] += n
    return held


def bound(claimants):
    """Return how many slots all claimants together can use within the quotas."""
    demand = by_owner(claimants, [c.demand for c in claimants])
    return sum(min(n, math.inf if QUOTAS[o] is None else QUOTAS[o]) for o, n in demand.items())


@given(pools())
def test_capacity_and_quotas_hold_and_no_usable_slot_stays_free(pool):
    claimants, capacity = pool
    slots = decide(claimants, capacity).slots
    assert sum(slots) <= capacity
    for owner, n in by_owner(claimants, slots).items():
        assert QUOTAS[owner] is None or n <= QUOTAS[owner]
    for c, n in zip(claimants, slots, strict=True):
        assert len(c.running) <= n <= c.demand
    assert sum(slots) == min(capacity, bound(claimants)) or _a_quota_is_used_up(claimants, slots)


def _a_quota_is_used_up(claimants, slots):
    """What is free can go to nobody: who wants more is at its owner's quota."""
    held = by_owner(claimants, slots)
    return all(
        c.demand == n or (QUOTAS[c.owner] is not None and held[c.owner] >= QUOTAS[c.owner])
        for c, n in zip(claimants, slots, strict=True)
    )


@given(pools(running=False))
def test_whole_shares_are_within_one_of_the_fair_ones_and_use_all_there_is(pool):
    claimants, capacity = pool
    fair = fair_shares(claimants, capacity)
    slots = decide(claimants, capacity).slots
    assert list(slots) == whole_shares(claimants, fair)
    assert all(abs(n - x) < 1 for n, x in zip(slots, fair, strict=True))
    assert sum(slots) == min(capacity, bound(claimants))


@given(pools(priorities=(0,)))
def test_no_share_can_grow_but_by_cutting_a_smaller_one(pool):
    claimants, capacity = pool
    fair = fair_shares(claimants, capacity)
    held = by_owner(claimants, fair)
    level = max((x / c.weight for c, x in zip(claimants, fair, strict=True)), default=0)
    for c, x in zip(claimants, fair, strict=True):
        if c.demand - x < 1e-6:
            continue  # has all that it wants
        peers = claimants
        if c.quota is not None and held[c.owner] > c.quota - 1e-6:
            peers = [p for p in claimants if p.owner == c.owner]
        most = max(x / p.weight for p, x in zip(claimants, fair, strict=True) if p in peers)
        assert x / c.weight == pytest.approx(most, abs=1e-6)
        assert x / c.weight <= level + 1e-6


@given(pools(), st.integers(0, 5), st.floats(1.0, 5.0))
def test_a_share_never_shrinks_when_its_weight_grows(pool, which, factor):
    claimants, capacity = pool
    i = which % len(claimants)
    before = fair_shares(claimants, capacity)[i]
    heavier = list(claimants)
    heavier[i] = replace(claimants[i], weight=claimants[i].weight * factor)
    assert fair_shares(heavier, capacity)[i] >= before - 1e-6


@given(pools())
def test_a_higher_priority_is_served_as_if_the_lower_ones_were_not_there(pool):
    claimants, capacity = pool
    top = max(c.priority for c in claimants)
    alone = [c for c in claimants if c.priority == top]
    fair = fair_shares(claimants, capacity)
    shares = [x for c, x in zip(claimants, fair, strict=True) if c.priority == top]
    assert shares == pytest.approx(fair_shares(alone, capacity))


@given(pools(), st.floats(0, 100))
def test_only_who_is_above_its_share_gives_way_and_never_below_it(pool, min_run_s):
    claimants, capacity = pool
    fair = fair_shares(claimants, capacity)
    decision = decide(claimants, capacity, min_run_s=min_run_s)
    lacking = 0
    whole = whole_shares(claimants, fair)
    for c, x, n, numbers in zip(claimants, fair, whole, decision.preempt, strict=True):
        held = {h.number: h for h in c.running if not h.is_stopping}
        assert len(set(numbers)) == len(numbers)
        assert all(held[n].run_s >= min_run_s for n in numbers)
        if numbers:
            assert len(held) - len(numbers) >= math.floor(x + 1e-9)
        lacking += max(n - len(held), 0)
        # Those that stay although they might have gone would have lost more.
        rest = [h.unsaved_s for n, h in held.items() if n not in numbers and h.run_s >= min_run_s]
        assert not numbers or not rest or max(held[n].unsaved_s for n in numbers) <= min(rest)
    assert sum(map(len, decision.preempt)) <= lacking


@given(pools())
def test_nothing_gives_way_while_all_are_within_one_slot_of_their_shares(pool):
    claimants, capacity = pool
    fair = fair_shares(claimants, capacity)
    settled = [
        replace(c, running=[RunningTrial(k) for k in range(n)], waiting=c.demand - n)
        for c, n in zip(claimants, whole_shares(claimants, fair), strict=True)
    ]
    assert not any(decide(settled, capacity).preempt)


TWO_LACK_A_PART_AND_ONE_HAS_TOO_MANY = (
    [
        Claimant("a", running=[RunningTrial(k) for k in range(3)]),
        Claimant("b", waiting=2),
        Claimant("c", waiting=2),
    ],
    5,
)


@given(pools())
@example(TWO_LACK_A_PART_AND_ONE_HAS_TOO_MANY)
def test_pre_empting_leads_to_the_fair_shares_and_ends(pool):
    claimants, capacity = pool
    for _ in range(100):
        decision = decide(claimants, capacity)
        is_stopping = any(h.is_stopping for c in claimants for h in c.running)
        is_full = decision.slots == tuple(len(c.running) for c in claimants)
        if is_full and not is_stopping and not any(decision.preempt):
            break
        claimants = [_after(c, n, p) for c, n, p in _zipped(claimants, decision)]
    fair = fair_shares(claimants, capacity)
    for c, x in zip(claimants, fair, strict=True):
        assert abs(len(c.running) - x) < 1
    assert not any(decide(claimants, capacity).preempt)


def _zipped(claimants, decision):
    return zip(claimants, decision.slots, decision.preempt, strict=True)


def _after(c, slots, preempted):
    """Return the claimant after it has filled its slots and its victims have gone."""
    new = [RunningTrial(1000 + k, 0.0, 0.0) for k in range(slots - len(c.running))]
    kept = [h for h in c.running if h.number not in preempted and not h.is_stopping]
    held = [replace(h, number=k) for k, h in enumerate([*kept, *new])]
    return replace(c, running=held, waiting=c.demand - len(held))


def test_the_weights_two_to_one_share_thirty_slots_as_twenty_and_ten():
    claimants = [Claimant("a", weight=2, waiting=99), Claimant("b", weight=1, waiting=99)]
    assert decide(claimants, 30).slots == (20, 10)


def test_two_studies_on_one_slot_take_turns_by_what_they_had():
    a, b = Claimant("a", waiting=9, served=5.0), Claimant("b", waiting=9, served=4.0)
    assert decide([a, b], 1).slots == (0, 1)
    assert decide([replace(a, served=3.0), b], 1).slots == (1, 0)
    running = replace(a, running=[RunningTrial(0, 1e6)])
    assert not any(decide([running, b], 1).preempt), "half a slot is no reason to stop a trial"


def test_a_slot_of_a_lower_priority_goes_to_two_urgent_studies_that_take_turns():
    low = Claimant("low", running=[RunningTrial(0)])
    a, b = (Claimant(name, priority=1, waiting=9) for name in "ab")
    assert decide([low, a, b], 1).preempt == ((0,), (), ())


def test_an_owner_at_its_quota_gives_way_to_its_own_more_urgent_study():
    calm = Claimant(
        "calm", "ada", quota=2, running=[RunningTrial(0, 9, 9), RunningTrial(1, 9, 1)], waiting=5
    )
    urgent = Claimant("urgent", "ada", priority=1, quota=2, waiting=1)
    other = Claimant("other", "bob", running=[RunningTrial(0)])
    decision = decide([calm, urgent, other], 10)
    assert decision.preempt == ((1,), (), ())
    assert decision.slots == (2, 0, 1)
