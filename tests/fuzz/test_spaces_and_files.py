"""What a space or a study file may hold: a space and settings, or one sentence; no traceback."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.fuzz.odd_values import ROUNDS, documents, nested
from tunekit.cli.runner import make_space
from tunekit.cli.settings import checked, read_file
from tunekit.errors import InvalidSpace, TunekitError
from tunekit.samplers.base import sample
from tunekit.spaces import Float, Int, Space
from tunekit.spaces.catalogue import load_space
from tunekit.spaces.serialize import space_from_dict, space_to_dict

CHILD = {"parameters": {"gamma": {"type": "float", "lo": 1e-4, "hi": 10.0, "log": True}}}
SPACE = {
    "format": "tunekit.space/1",
    "parameters": {
        "lr": {"type": "float", "lo": 1e-5, "hi": 1.0, "log": True, "default": 0.01},
        "depth": {"type": "int", "lo": 1, "hi": 8, "step": 1, "special": [-1]},
        "kernel": {
            "type": "categorical",
            "choices": [
                "linear",
                {"value": "rbf", "space": CHILD},
                {"values": ["a", 2], "space": CHILD},
            ],
            "ordered": False,
            "default": "rbf",
        },
        "flag": {"type": "bool", "default": True},
        "layers": {"type": "repeat", "lo": 1, "hi": 3, "space": {"parameters": {"w": [8, 16]}}},
        "seed": 3,
    },
    "when": [
        {
            "parent": "flag",
            "values": [True],
            "also": {"depth": [1, 2]},
            "parameters": {"z": [1, 2]},
        }
    ],
    "constraints": ["depth <= 6 or lr < 0.1"],
}
STUDY = {
    "name": "s",
    "objective": "train.py:train",
    "space": {k: v for k, v in SPACE.items() if k != "format"},
    "objectives": {"loss": "minimize"},
    "constraints": ["mib <= 8"],
    "trials": 10,
    "timeout": "2h",
    "workers": 2,
    "executor": "process",
    "sampler": "random",
    "sampler_options": {"a": 1},
    "warm_start": ["old"],
    "stopper": ["asha"],
    "stopper_options": {"asha": {"eta": 3}},
    "audit": 0.1,
    "seed": 1,
    "resources": {"gpu": 1},
    "devices": [0, "1"],
    "memory": "4G",
    "max_failed_trials": 3,
}
SCRAWLS = ["", "{", "]", ":", "\x07", "é"]
TAGS = ["!!int abc", "!!float abc", "!!bool maybe", "!!timestamp x", "!!binary é", "!!null x",
        "!!set 3", "!!omap 3", "!!pairs [1]", "!!seq {}", "!!map []", "!!python/name:os.system",
        "*nobody", "&a [*a]", "2020-99-99", "? [1]", "{<<: 3}", "0o9", "1_000", "- -", "\t",
        "'"]  # fmt: skip


def used(space: Space) -> None:
    """Use a space as a study does."""
    assert space_from_dict(json.loads(json.dumps(space_to_dict(space)))) == space
    space.default()
    rng = np.random.default_rng(0)
    for _ in range(3):
        space.validate(dict(sample(space, rng)))


def test_documents_of_spaces_are_spaces_or_one_sentence():
    n = 0
    for document in documents(SPACE, 1500, seed=1):
        try:
            used(space_from_dict(document))
            n += 1
        except TunekitError as error:
            assert str(error) and "Traceback" not in str(error)
    assert n > 100, "some mutations are harmless, and are used"


def scrawled(text: str, rng: random.Random) -> str:
    """Return YAML with odd scalars, or characters that are lost or doubled."""
    lines = text.splitlines()
    for _ in range(rng.choice([1, 1, 2])):
        i = rng.randrange(len(lines))
        head, colon, _ = lines[i].partition(":")
        what = rng.random()
        if what < 0.7 and colon:
            lines[i] = f"{head}: {rng.choice(TAGS)}"
        elif what < 0.85:
            lines[i] = rng.choice(TAGS)
        else:
            j = rng.randrange(len(lines[i]) + 1)
            lines[i] = lines[i][:j] + rng.choice(SCRAWLS) + lines[i][j + 1 :]
    return "\n".join(lines)


def test_odd_scalars_of_yaml_are_one_sentence(tmp_path):
    rng = random.Random(2)
    text = yaml.safe_dump(SPACE, sort_keys=False)
    file = tmp_path / "space.yaml"
    for _ in range(500 * ROUNDS):
        file.write_text(scrawled(text, rng), encoding="utf-8")
        try:
            used(load_space(file))
        except TunekitError as error:
            assert "space.yaml" in str(error)


def test_study_files_are_settings_or_one_sentence(tmp_path):
    rng = random.Random(3)
    file, n = tmp_path / "tunekit.yaml", 0
    for document in documents(STUDY, 400, seed=4):
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=False)
        file.write_text(scrawled(text, rng) if rng.random() < 0.3 else text, "utf-8")
        try:
            settings = checked(read_file(file), source=str(file))
            make_space(settings.space, tmp_path)
            n += 1
        except TunekitError as error:
            assert str(error)
    assert n > 20


@pytest.mark.parametrize("name", ["space.yaml", "space.json"])
def test_a_pipe_a_folder_and_a_device_are_no_space(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(InvalidSpace, match=name):
        load_space(tmp_path / name)
    (tmp_path / "folder" / name).mkdir(parents=True)
    with pytest.raises(InvalidSpace, match=name):
        load_space(tmp_path / "folder" / name)
    os.symlink("/dev/zero", tmp_path / "zero.yaml")
    with pytest.raises(InvalidSpace, match="zero"):
        load_space(tmp_path / "zero.yaml")


def test_a_pipe_is_no_study_file(tmp_path):
    os.mkfifo(tmp_path / "tunekit.yaml")
    with pytest.raises(TunekitError, match="regular file"):
        read_file(Path(tmp_path, "tunekit.yaml"))


def test_a_hundred_nested_branches_are_used_or_refused():
    document = {"parameters": {"x": [1, 2]}}
    for _ in range(100):
        branch = {"value": "on", "space": document}
        document = {"parameters": {"x": {"type": "categorical", "choices": ["off", branch]}}}
    try:
        used(space_from_dict({"format": "tunekit.space/1", **document}))
    except TunekitError as error:
        assert "nested" in str(error)
    with pytest.raises(TunekitError):
        space_from_dict(nested(5000))


@pytest.mark.parametrize(
    "options",
    [
        {"special": [2**53 + 1]},
        {"special": [-(2**70)]},
        {"default": 2**60},
        {"lo": 2**53, "hi": 2**53 + 5},
    ],
)
def test_integers_beyond_what_a_float_holds_are_exact_or_refused(options):
    try:
        domain = Int(**{"lo": 0, "hi": 9, **options})
    except TunekitError as error:
        assert "Int" in str(error)
        return
    for value in domain.special:
        assert domain.from_unit(domain.to_unit(value)) == value == domain.validate(value, "x")


@pytest.mark.parametrize("lo", [5e-324, 1e-320, 1e-310, 2.3e-308])
def test_subnormal_bounds_of_a_logarithm_work_or_are_refused(lo):
    for hi in (lo, 2 * lo, 1.0, 1e300):
        try:
            domain = Float(lo, hi, log=True)
        except TunekitError as error:
            assert "Float" in str(error)
            continue
        for u in (0.0, 0.3, 1.0):
            value = domain.from_unit(u)
            assert domain.from_unit(domain.to_unit(value)) == value


def test_a_branch_of_no_values_is_refused():
    choices = ["a", {"values": [], "space": CHILD}]
    parameters = {"x": {"type": "categorical", "choices": choices}}
    with pytest.raises(InvalidSpace, match=r"choices\[1\]: values: is empty"):
        space_from_dict({"format": SPACE["format"], "parameters": parameters})
