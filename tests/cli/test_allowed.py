"""What a runner may start of other people's jobs, and what it refuses."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tunekit.cli.allowed import AllowedFolders
from tunekit.errors import InvalidArgument


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """An allowed folder with scripts, beside one with others and links to them."""
    allowed, other = tmp_path / "allowed", tmp_path / "other"
    for folder in (allowed, other):
        folder.mkdir()
        script = folder / "train.sh"
        script.write_text("#!/bin/sh\necho 1\n")
        script.chmod(0o755)
        (folder / "mine.py").write_text("def objective(trial):\n    return 1.0\n")
    (allowed / "plain.sh").write_text("echo 1\n")
    (allowed / "borrowed.py").write_text(
        "import os\nfrom functools import partial\nfrom os import system\n\n"
        "bound = partial(os.system)\n"
    )
    (allowed / "json.py").write_text("def loads(trial):\n    return 1.0\n")
    (allowed / "numpy.py").write_text("def zeros(trial):\n    return 1.0\n")
    (allowed / "tools").mkdir()
    (allowed / "tools" / "__init__.py").write_text("")
    (allowed / "tools" / "fit.py").write_text("def objective(trial):\n    return 2.0\n")
    (allowed / "link.sh").symlink_to(other / "train.sh")
    (allowed / "link.py").symlink_to(other / "mine.py")
    (allowed / "linked").symlink_to(other)
    return allowed, other


def test_programs_and_scripts_below_the_folder_run(folders):
    allowed, _ = folders
    rule = AllowedFolders([allowed])
    script = str(allowed / "train.sh")
    assert rule.program(["./train.sh", "--lr={lr}"]) == ([script, "--lr={lr}"], allowed)
    assert rule.program(["train.sh"]) == ([script], allowed)
    assert rule.program([script, f"--data={allowed}/x"])[0][0] == script
    words, _ = rule.program(["python", "mine.py", "-c", "{lr}"])
    assert words == [sys.executable, str(allowed / "mine.py"), "-c", "{lr}"], "options of its own"
    assert rule.program(["sh", "plain.sh"])[0][1] == str(allowed / "plain.sh")


@pytest.mark.parametrize(
    "words",
    [
        ["../other/train.sh"],
        ["./sub/../../other/train.sh"],
        ["{other}/train.sh"],
        ["link.sh"],
        ["linked/train.sh"],
        ["python", "link.py"],
        ["python", "linked/mine.py"],
        ["python", "-c", "print(1)"],
        ["python", "-m", "http.server"],
        ["python", "-"],
        ["python"],
        ["python", "-I", "mine.py"],
        ["python", "{script}"],
        ["sh", "-c", "train.sh"],
        ["bash", "-lc", "train.sh"],
        ["/bin/sh", "plain.sh"],
        ["env", "LD_PRELOAD=./x.so", "./train.sh"],
        ["LD_PRELOAD=x.so", "./train.sh"],
        ["PATH=.", "train.sh"],
        ["rm", "-rf", "."],
        ["plain.sh"],
        ["{program}"],
        ["."],
        [""],
        ["train.sh\0"],
        ["train.sh", "../other/mine.py"],
        ["train.sh", "--file=../other/mine.py"],
        ["train.sh", "/etc/passwd"],
        ["train.sh", "--file=/etc/passwd"],
        ["train.sh", "linked/../../x"],
    ],
)
def test_everything_else_is_refused_with_a_sentence(folders, words):
    allowed, other = folders
    given = [w.replace("{other}", str(other)) for w in words]
    with pytest.raises(InvalidArgument, match=r"[a-z] .*[.]$"):
        AllowedFolders([allowed]).program(given)


def test_functions_of_files_and_modules_below_the_folder_run(folders):
    allowed, _ = folders
    rule = AllowedFolders([allowed])
    assert rule.function("mine.py:objective")(SimpleNamespace()) == 1.0
    assert rule.function("tools.fit:objective")(SimpleNamespace()) == 2.0


@pytest.mark.parametrize(
    "target",
    [
        "../other/mine.py:objective",
        "{other}/mine.py:objective",
        "link.py:objective",
        "linked/mine.py:objective",
        "linked.mine:objective",
        "os:system",
        "subprocess:run",
        "json:loads",
        "numpy:zeros",
        "tunekit.cli.app:app",
        "mine.py:__builtins__.eval",
        "borrowed.py:os.system",
        "nothing.py:objective",
        "nothing:objective",
        "mine.py",
        ":objective",
    ],
)
def test_functions_from_elsewhere_are_refused_before_anything_is_imported(folders, target):
    allowed, other = folders
    before = set(sys.modules)
    with pytest.raises(InvalidArgument):
        AllowedFolders([allowed]).function(target.replace("{other}", str(other)))
    assert "borrowed" not in set(sys.modules) - before


@pytest.mark.parametrize("name", ["system", "bound"])
def test_a_borrowed_function_is_refused_where_it_would_run(folders, name):
    allowed, _ = folders
    function = AllowedFolders([allowed]).function(f"borrowed.py:{name}")
    with pytest.raises(InvalidArgument):
        function(SimpleNamespace())


def test_a_link_that_is_made_after_the_check_is_refused_where_it_would_run(folders):
    allowed, other = folders
    (allowed / "late.py").write_text("def objective(trial):\n    return 1.0\n")
    function = AllowedFolders([allowed]).function("late.py:objective")
    (allowed / "late.py").unlink()
    (allowed / "late.py").symlink_to(other / "mine.py")
    with pytest.raises(InvalidArgument, match="outside"):
        function(SimpleNamespace())


def test_a_folder_has_to_exist(tmp_path):
    with pytest.raises(InvalidArgument, match="is not a folder"):
        AllowedFolders([tmp_path / "nowhere"])
    with pytest.raises(InvalidArgument, match="without --allow"):
        AllowedFolders([])
    assert Path(AllowedFolders([tmp_path]).folders[0]).is_dir()
