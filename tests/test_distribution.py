"""What is installed under which name: no text of ours fetches the project that has our name."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tunekit.cli.app import app
from tunekit.errors import DISTRIBUTION, MissingExtra

ROOT = Path(__file__).parent.parent
STRANGER = "tunekit"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

NAME = rf"(?<![\w./-]){STRANGER}(?![\w/-]|\.\w)"
TOOL = r"(?:pip[3x]?|uv|uvx|poetry|pdm|rye|conda|mamba|pixi)"
COMMAND = re.compile(rf"\b{TOOL}\b[^\n;&|]*?{NAME}")
REQUIREMENT = re.compile(rf"{NAME}\s*(?:\[[\w, -]+\]|[=~<>!]=\s*\d)")
NOT_FETCHING = re.compile(r"\b(?:uninstall|remove|show|freeze)\b")


def fetching(text: str) -> list[str]:
    """Return what in a text would install the stranger's project."""
    joined = re.sub(r"""["']\s*\n\s*[rf]*["']|\\\n\s*""", "", text)
    found = [m.group() for m in COMMAND.finditer(joined)]
    commands = [c for c in found if not NOT_FETCHING.search(c)]
    return commands + [m.group() for m in REQUIREMENT.finditer(joined)]


@pytest.mark.parametrize(
    "text",
    [
        f"pip install {STRANGER}",
        f"python -m pip install -U '{STRANGER}[ray]'",
        f"uv pip install {STRANGER}",
        f"uv add {STRANGER}",
        f"uvx {STRANGER} demo",
        f"pipx run {STRANGER}",
        f"conda install -c conda-forge {STRANGER}.",
        f'x = ["{STRANGER}[all]"]',
        f"{STRANGER}>=0.1",
        f'"upgrade (pip install "\n    f"--upgrade {STRANGER})"',
    ],
)
def test_a_command_for_the_strangers_project_is_found(text):
    assert fetching(text)


@pytest.mark.parametrize(
    "text",
    [
        f"pip install '{DISTRIBUTION}[ray]'",
        "pip install '.[sklearn,optuna]'\ntunekit demo",
        "pip uninstall tunekit",
        "pip install smac; tunekit bench",
        "from tunekit.cli import main",
    ],
)
def test_a_command_for_this_project_or_none_is_not(text):
    assert not fetching(text)


def test_no_file_names_a_command_that_fetches_the_strangers_project():
    kinds = {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".cfg", ".sh", ".ipynb", ".mako", ""}
    files = [
        path
        for path in ROOT.rglob("*")
        if path.is_file() and path.suffix in kinds and path != Path(__file__)
        if not {".venv", ".git", "__pycache__"} & set(path.relative_to(ROOT).parts)
        if not any(part.endswith("_cache") for part in path.relative_to(ROOT).parts)
    ]
    assert {"README.md", "pyproject.toml", "doctor.py"} <= {path.name for path in files}
    found = {str(p.relative_to(ROOT)): fetching(p.read_text(errors="replace")) for p in files}
    assert {path: texts for path, texts in found.items() if texts} == {}


def test_the_distribution_and_its_extras_have_our_name():
    assert PROJECT["name"] == DISTRIBUTION == "tunekit-hpo"
    needed = [r for extra in PROJECT["optional-dependencies"].values() for r in extra]
    names = {re.split(r"[\[<>=~! ;]", r)[0] for r in [*PROJECT["dependencies"], *needed]}
    assert STRANGER not in names
    assert DISTRIBUTION in names


@pytest.mark.parametrize("extra", sorted(PROJECT["optional-dependencies"]))
def test_a_missing_extra_names_our_distribution(extra):
    assert f"pip install 'tunekit-hpo[{extra}]'" in str(MissingExtra(extra, "This"))


def test_every_missing_extra_is_an_extra_of_the_project():
    raised = set()
    for folder in ("tunekit", "surrogates", "integrations", "dashboard"):
        for path in (ROOT / folder).rglob("*.py"):
            raised |= set(re.findall(r'MissingExtra\("(\w+)"', path.read_text()))
    assert raised
    assert raised <= set(PROJECT["optional-dependencies"])


def test_the_comments_on_dependencies_name_files_that_exist():
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    comments = [line.partition("#")[2] for line in lines if "#" in line]
    named = {m for c in comments for m in re.findall(r"[\w/*]+\.py\b", c)}
    assert "storages/sql/storage.py" in named
    homes = [ROOT / "tunekit", *(ROOT / f for f in ("surrogates", "integrations", "dashboard"))]
    assert [name for name in named if not any((home / name).is_file() for home in homes)] == []


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a distribution called tunekit before all others; return what `doctor` says of it."""

    def installed(*, files=(), entry_points=""):
        info = tmp_path / f"{STRANGER}-0.3.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {STRANGER}\nVersion: 0.3.1\n"
        )
        (info / "RECORD").write_text("".join(f"{name},,\n" for name in files))
        (info / "entry_points.txt").write_text(entry_points)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("TUNEKIT_URL", raising=False)
        result = CliRunner().invoke(app, ["doctor", "--json"], prog_name="tunekit")
        (found,) = [c for c in json.loads(result.stdout)["checks"] if c["check"] == "name"]
        return result.exit_code, found["status"], found["detail"]

    return installed


def test_doctor_warns_of_the_strangers_project_beside_this_one(install):
    code, status, detail = install(files=["elsewhere/train.py"])
    assert (code, status) == (0, "warn")
    assert "tunekit 0.3.1, another project, stands beside this one" in detail
    assert "pip uninstall tunekit" in detail


def test_doctor_fails_where_the_strangers_project_has_written_over_this_one(install):
    code, status, detail = install(files=[str(ROOT / "tunekit" / "api.py")])
    assert (code, status) == (1, "fail")
    assert f"another project, has written into {ROOT / 'tunekit'}" in detail


def test_doctor_knows_an_earlier_install_of_this_project(install):
    code, status, detail = install(entry_points="[console_scripts]\ntunekit = tunekit.cli:main\n")
    assert (code, status) == (0, "warn")
    assert "an earlier install of this project" in detail
