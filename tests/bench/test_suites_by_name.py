"""The registry of the built-in suites."""

import pytest

from tunekit.bench.suites import SUITES, suite
from tunekit.errors import InvalidArgument


def test_an_unknown_suite_is_refused_with_the_nearest_name():
    with pytest.raises(InvalidArgument, match=r'unknown suite "tres".*did you mean "trees"'):
        suite("tres")


def test_an_unknown_option_is_refused_with_those_that_there_are():
    with pytest.raises(InvalidArgument, match=r'"jenaton_depth" \(did you mean "jenatton_depth"'):
        suite("trees", jenaton_depth=2)
    with pytest.raises(InvalidArgument, match="takes no options"):
        suite("bbob", dims=3)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "0"])
def test_a_seed_that_is_no_whole_number_is_refused(seed):
    with pytest.raises(InvalidArgument, match="expected a whole number of 0 or more"):
        suite("trees", seed=seed)


def test_a_depth_out_of_range_is_refused():
    with pytest.raises(InvalidArgument, match="expected 1 to 8"):
        suite("trees", jenatton_depth=9)


def test_every_registered_module_has_a_documented_suite():
    from importlib import import_module

    for module in SUITES.values():
        assert import_module(module).suite.__doc__
