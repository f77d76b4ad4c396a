"""`tunekit init`, tunekit.yaml, and how flags and file go together."""

from __future__ import annotations

import pytest
import yaml

from tunekit.cli.settings import checked
from tunekit.errors import InvalidArgument

GOOD = {"objective": "train.py:objective", "trials": 3}


def test_init_writes_files_that_run(cli, folder, answer):
    result = cli("init", "new")
    assert result.stdout == "new/tunekit.yaml\nnew/train.py\n"
    (folder / "new" / "tunekit.yaml").rename(folder / "tunekit.yaml")
    (folder / "new" / "train.py").replace(folder / "train.py")
    result = cli("run", "-n", "3", "--workers", "1", "--sampler", "random")
    assert result.exit_code == 0, result.stderr
    (study,) = answer("studies", "ls")["studies"]
    assert (study["name"], study["complete"]) == ("new", 3)
    first = answer("trials", "show", "new", "0")["trial"]
    assert (first["sampler"], first["params"]) == ("user", {"lr": 0.01, "model": "linear"})


def test_init_writes_over_nothing_unless_forced(cli, folder):
    result = cli("init")
    assert result.exit_code == 2
    assert "train.py already exists" in result.stderr
    assert not (folder / "tunekit.yaml").exists()
    assert cli("init", "--force").exit_code == 0
    assert "Start here" in (folder / "train.py").read_text()


def test_a_folder_with_an_odd_name_gives_a_valid_file(cli, folder):
    assert cli("init", 'a: "b"').exit_code == 0
    assert yaml.safe_load((folder / 'a: "b"' / "tunekit.yaml").read_text())["name"] == 'a: "b"'


def test_a_file_may_hold_the_space_and_a_program(cli, folder, answer):
    study = {
        "name": "f",
        "command": ["sh", "-c", 'echo "$0"', "{x}"],
        "space": {"parameters": {"x": {"type": "int", "lo": 1, "hi": 9}}},
        "objectives": {"y": "maximize"},
        "trials": 3,
        "sampler": "random",
        "storage": "sqlite:///other.db",
    }
    (folder / "my.yaml").write_text(yaml.safe_dump(study))
    result = cli("run", "--file", "my.yaml", "-n", "2")
    assert result.exit_code == 0, result.stderr
    (row,) = answer("studies", "ls", "--storage", "sqlite:///other.db")["studies"]
    assert (row["name"], row["complete"], row["objectives"]) == ("f", 2, {"y": "maximize"})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"worker": 2}, 'unknown key "worker" (did you mean "workers"?)'),
        ({"trials": "many"}, "\"trials\" is 'many'"),
        ({"workers": 0}, "greater than or equal to 1"),
        ({"timeout": "-1h"}, '"timeout" is'),
        ({"memory": "4Q"}, "expected a number of MiB"),
        ({"objectives": {"error": "down"}}, "\"objectives.error\" is 'down'"),
        ({"resources": {"gpu": -1}}, '"resources.gpu" is -1'),
        ({"command": ["x"]}, "not both"),
        ({"objective": None}, "not none"),
        ({"objective": None, "command": []}, "the command is empty"),
        ({"trials": None}, "would never end"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_file(change, said):
    with pytest.raises(InvalidArgument) as error:
        checked({**GOOD, **change}, source="my.yaml")
    assert str(error.value).startswith("TK104 my.yaml: ")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("text", "mib"), [("512", 512), (100, 100), ("4G", 4096), ("1.5 GiB", 1536), ("200MB", 200)]
)
def test_memory_is_read_with_its_unit(text, mib):
    assert checked({**GOOD, "memory": text}, source="x").memory == mib


def test_times_are_read_with_their_unit():
    settings = checked({**GOOD, "timeout": "2h", "trial_timeout": 90}, source="x")
    assert (settings.timeout, settings.trial_timeout) == (7200.0, 90.0)


@pytest.mark.parametrize(
    ("content", "said"),
    [("- a\n", "expected a mapping"), ("a: [", "invalid YAML"), ("", "expected a mapping")],
)
def test_a_file_that_is_no_mapping_is_refused(cli, folder, content, said):
    (folder / "tunekit.yaml").write_text(content)
    result = cli("run")
    assert result.exit_code == 2
    assert said in result.stderr


def test_secrets_of_the_storage_are_not_kept_in_the_recipe(cli, answer):
    cli("run", "train.py:objective", "-n", "1", "--space", "train.py:space", "--minimize", "error",
        "--sampler", "random", "--storage", "sqlite:///tunekit.db")  # fmt: skip
    recipe = answer("studies", "show", "train")["study"]["run"]
    assert "storage" not in recipe["settings"]


def test_a_stopper_that_cannot_work_is_refused_once_and_makes_no_study(cli, folder, answer):
    (folder / "tunekit.yaml").write_text(
        "{name: s, objective: 'train.py:objective', objectives: {error: minimize}, trials: 9, "
        "stopper: asha, stopper_options: {metric: eror}}"
    )
    result = cli("run", "--space", "train.py:space")
    assert result.exit_code == 2
    assert 'the asha stopper watches "eror" (did you mean "error"?)' in result.stderr
    assert result.stderr.count("\n") == 1
    assert answer("studies", "ls")["studies"] == []
