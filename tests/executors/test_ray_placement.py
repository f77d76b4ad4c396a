"""How many trials fit on a cluster, and the sentence for one that does not."""

import pytest

from tunekit.errors import InvalidArgument, MissingExtra
from tunekit.executors.base import Limits
from tunekit.executors.ray.executor import RayExecutor
from tunekit.executors.ray.placement import (
    capacity,
    checked_group,
    checked_need,
    ray_options,
    shortage,
)

NODES = [{"cpu": 8.0, "gpu": 2.0}, {"cpu": 4.0, "gpu": 1.0, "special": 1.0}]


@pytest.mark.parametrize(
    ("need", "n"),
    [
        ({"cpu": 1}, 12),
        ({"cpu": 3}, 3),
        ({"cpu": 1, "gpu": 1}, 3),
        ({"cpu": 1, "gpu": 0.5}, 6),
        ({"cpu": 1, "gpu": 0.4}, 6),  # two on each device, never one across two
        ({"cpu": 4, "gpu": 0.5}, 3),
        ({"cpu": 1, "gpu": 2}, 1),
        ({"cpu": 1, "special": 0.25}, 4),
        ({"cpu": 1, "other": 1}, 0),
    ],
)
def test_the_capacity_counts_what_fits_on_each_node(need, n):
    assert capacity(need, NODES) == n


@pytest.mark.parametrize(
    ("need", "free", "said"),
    [
        ({"cpu": 1, "gpu": 4}, {}, "needs 4 gpu; the cluster has 3"),
        ({"cpu": 1, "gpu": 3}, {}, "needs 3 gpu on one node; the largest node has 2 of the clus"),
        ({"cpu": 1, "odd": 1}, {}, "needs 1 odd; the cluster has 0"),
        ({"cpu": 8, "special": 1}, {}, "needs 8 cpu, 1 special on one node; no node has all"),
        ({"cpu": 1, "gpu": 1}, {"cpu": 9.0}, "needs 1 gpu; of the cluster's 3 only 0 is free"),
        ({"cpu": 1}, {"cpu": 9.0}, "has that free and starts the worker"),
    ],
)
def test_a_shortage_is_named_with_both_figures(need, free, said):
    assert said in shortage(need, NODES, free)


SMALL = [{"cpu": 3.0}, {"cpu": 1.0}, {"cpu": 1.0}]


@pytest.mark.parametrize(
    ("processes", "strategy", "n"),
    [
        (1, "SPREAD", 5),
        (2, "PACK", 2),
        (2, "SPREAD", 2),
        (2, "STRICT_PACK", 1),
        (4, "STRICT_PACK", 0),
        (2, "STRICT_SPREAD", 2),  # the large node is in both
        (3, "STRICT_SPREAD", 1),
        (4, "STRICT_SPREAD", 0),
    ],
)
def test_the_capacity_for_groups_is_that_of_their_strategy(processes, strategy, n):
    assert capacity({"cpu": 1}, SMALL, checked_group(processes, strategy)) == n


@pytest.mark.parametrize(
    ("need", "group", "free", "said"),
    [
        ({"cpu": 1, "gpu": 1}, (4, "SPREAD"), {}, "needs 4 x 1 gpu (SPREAD); the cluster has 3"),
        ({"cpu": 6}, (2, "PACK"), {}, "needs 2 x (6 cpu) (PACK); the nodes have room for 1 of"),
        ({"cpu": 1}, (3, "STRICT_SPREAD"), {}, "(STRICT_SPREAD); the nodes have room for 8, 4 of"),
        ({"cpu": 2}, (2, "PACK"), {"cpu": 3.0}, "2 x 2 cpu (PACK); of the cluster's 12 only 3 is"),
        ({"cpu": 1}, (2, "PACK"), {"cpu": 9.0}, "2 x (1 cpu) (PACK); the cluster has that free"),
    ],
)
def test_a_shortage_of_places_for_a_group_is_named_with_the_strategy(need, group, free, said):
    assert said in shortage(need, NODES, free, checked_group(*group))


def test_a_cluster_without_nodes_has_nothing():
    assert shortage({"cpu": 1}, [], {}) == "a trial needs 1 cpu; the cluster has 0"


def test_a_trial_that_asks_for_no_cpu_gets_one():
    need = checked_need({"gpu": 0.5, "special": 2})
    assert ray_options(need) == {"num_cpus": 1.0, "num_gpus": 0.5, "resources": {"special": 2}}


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ({"gpu": 1.5}, "whole number"),
        ({"cpu": 0}, "resource cpu=0, expected a number above 0"),
        ({"gpu": float("nan")}, "resource gpu=nan, expected a number above 0"),
        ({"special": "2"}, "resource special='2', expected a number above 0"),
        ({"memory": 4}, "memory_mib"),
        ({"GPU": 1}, 'write it "gpu"'),
    ],
)
def test_an_amount_that_no_cluster_can_deal_is_refused(resources, said):
    with pytest.raises(InvalidArgument, match=said):
        checked_need(resources)


@pytest.mark.ray
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"workers": 0}, "workers=0"),
        ({"max_failures": -1}, "max_failures=-1"),
        ({"quarantine_after": 1.5}, "quarantine_after=1.5"),
        ({"placement_timeout_s": 0}, "placement_timeout_s=0"),
        ({"processes": 0}, "processes=0"),
        ({"processes": 2, "strategy": "STRICT"}, "strategy='STRICT', expected one of Ray's: PACK"),
        ({"address": "h:1", "local": {"gpu": 1}}, "conflicts with address=h:1"),
        ({"limits": Limits({"gpu": 2.5})}, "gpu=2.5"),
        ({"limits": Limits(timeout_s=0)}, "timeout_s=0"),
        ({"limits": Limits(memory_mib=-1)}, "memory_mib=-1"),
    ],
)
def test_an_argument_out_of_range_is_refused_before_anything_starts(options, said):
    with pytest.raises(InvalidArgument, match=said):
        RayExecutor(**options)


def test_without_ray_the_line_to_type_is_told(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'tunekit-hpo\[ray\]'"):
        RayExecutor()
