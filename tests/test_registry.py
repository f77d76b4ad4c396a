"""Parts of other distributions: found by entry points, storages and executors as well."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import tunekit as tk
from tunekit import registry
from tunekit.errors import InvalidArgument

PLUGIN = '''
    from tunekit.executors.inline import InlineExecutor
    from tunekit.storages.memory.storage import MemoryStorage

    class Loud(InlineExecutor):
        """Says what it was asked for."""

    def open_shelf(url, *, must_exist):
        storage = MemoryStorage()
        storage.url = url
        return storage

    def make_loud(workers, limits, devices):
        print("loud", workers, limits.timeout_s, devices)
        return Loud()
'''
ENTRY_POINTS = """
    [tunekit.storages]
    shelf = shelf_plugin:open_shelf
    [tunekit.executors]
    loud = shelf_plugin:make_loud
"""
USE = """
    import tunekit as tk
    study = tk.study(storage="shelf://attic", sampler="random", seed=1)
    run = {"executor": "loud", "workers": 2, "progress": False}
    study.optimize(lambda t: t.suggest_float("x", 0, 1), 3, **run)
    print(study.storage.url, len(study.trials))
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A folder with an installed distribution that brings a storage and an executor."""
    (tmp_path / "shelf_plugin.py").write_text(textwrap.dedent(PLUGIN))
    info = tmp_path / "shelf_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shelf-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(textwrap.dedent(ENTRY_POINTS))
    return tmp_path


def test_a_storage_and_an_executor_of_another_distribution_are_used_by_name(plugin: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(plugin)!r})\n{textwrap.dedent(USE)}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["loud 2 None None", "shelf://attic 3"]


@pytest.mark.parametrize("kind", ["sampler", "stopper", "storage", "executor", "knob_target"])
def test_an_unknown_name_is_answered_with_the_closest_one(kind: registry.Kind) -> None:
    name = registry.names(kind)[0]
    with pytest.raises(InvalidArgument, match=rf'unknown {kind} .*did you mean "{name}"'):
        registry.find(kind, f"{name}x")


@pytest.mark.parametrize("kind", ["sampler", "stopper", "storage", "executor", "knob_target"])
def test_every_built_in_name_is_found(kind: registry.Kind) -> None:
    for name in registry.names(kind):
        assert callable(registry.find(kind, name))


NEEDED = {"proxy": {"proxy": "math:fsum"}, "first": {"stoppers": ["asha"]}}


@pytest.mark.parametrize("name", registry.names("sampler"))
def test_every_sampler_names_the_options_that_it_has(name):
    with pytest.raises(InvalidArgument, match=r'unknown option "foo".*; (there are|it takes)'):
        tk.study(sampler=name, sampler_options={"foo": 1, **NEEDED.get(name, {})})


@pytest.mark.parametrize("name", registry.names("stopper"))
def test_every_stopper_names_the_options_that_it_has(name):
    with pytest.raises(InvalidArgument, match=r'unknown option "foo".*; there are'):
        tk.study(stopper=name, stopper_options={"foo": 1, **NEEDED.get(name, {})})


@pytest.mark.parametrize(
    ("what", "name", "options", "missing"),
    [
        ("sampler", "proxy", {}, "proxy"),
        ("stopper", "first", {}, "stoppers"),
        ("stopper", "optuna", {"name": "PercentilePruner"}, "percentile"),
    ],
)
def test_an_option_that_is_needed_is_named(what, name, options, missing):
    with pytest.raises(InvalidArgument, match=f'the option "{missing}" is missing; there are'):
        tk.study(**{what: name, f"{what}_options": options})
