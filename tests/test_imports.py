"""What importing costs and what it shows: light, lazy, and a fixed set of public names."""

from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import tunekit

ROOT = Path(__file__).parent.parent
PACKAGES = ("tunekit", "tunekit_surrogates", "tunekit_integrations", "tunekit_dashboard")
SOURCES = ("tunekit", "surrogates", "integrations", "dashboard", "examples", "tests")

HEAVY = {
    "alembic",
    "cloudpickle",
    "httpx2",
    "litellm",
    "mcp",
    "numpy",
    "optuna",
    "pandas",
    "psutil",
    "pydantic",
    "ray",
    "rich",
    "scipy",
    "sklearn",
    "sqlalchemy",
    "streamlit",
    "threadpoolctl",
    "torch",
    "typer",
    "yaml",
}

RUN = """
import tunekit
study = tunekit.study(space={'x': tunekit.Float(0, 1), 'c': ['a', 'b']}, sampler=SAMPLER, seed=1)
study.optimize(lambda trial: trial.params['x'], n_trials=N)
"""

WATCHED = """
import tunekit
study = tunekit.study(space={'x': tunekit.Float(0, 1)}, sampler='random', stopper=STOPPER, seed=1)

def objective(trial):
    for step in range(1, 10):
        trial.report(trial.params['x'], step)
    return trial.params['x']

study.optimize(objective, n_trials=9)
assert study.best_value <= 1
"""

BY_PROGRAM = """
import tunekit
study = tunekit.study(seed=1)
study.optimize(lambda trial: trial.suggest_float('x', 0, 1), n_trials=6)
"""

UNUSED = {
    "_hashlib",
    "decimal",
    "importlib.metadata",
    "statistics",
    "subprocess",
    "tempfile",
    "tunekit.analysis.audit",
    "tunekit.samplers.bayesian.model_search",
    "tunekit.spaces.constraints",
    "tunekit.spaces.encode",
    "tunekit.storages.sql",
    "tunekit.studies.optuna_import",
    "uuid",
}
"""What the first trials of a space without constraints can do without; each costs some ms."""

LIGHT = (
    "tunekit.errors",
    "tunekit.records",
    "tunekit.spaces",
    "tunekit.storages.base",
    "tunekit.storages.codec",
    "tunekit.storages.http.storage",
    "tunekit.storages.operations",
)
"""What a client of a remote storage needs."""

PUBLIC = {
    "Categorical",
    "Checkpoints",
    "Float",
    "Int",
    "Objective",
    "Proposal",
    "Repeat",
    "Sampler",
    "Space",
    "Stopper",
    "Study",
    "Trial",
    "TrialPaused",
    "TrialStopped",
    "TunekitError",
    "When",
    "__version__",
    "load_space",
    "load_study",
    "offline",
    "scaling",
    "share",
    "study",
    "TrialPruned",
    "TrialState",
    "copy_study",
    "decoding",
    "delete_study",
    "from_optuna",
    "study_names",
}


def loaded_by(code: str) -> set[str]:
    """Return the top-level packages that a fresh interpreter has loaded after some code."""
    return {name.partition(".")[0] for name in modules_of(code)}


def modules_of(code: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after some code."""
    probe = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_tunekit_loads_no_heavy_package() -> None:
    loaded = loaded_by("import tunekit")
    assert "tunekit" in loaded
    assert not loaded & HEAVY


def test_every_public_name_can_be_used_without_an_engine() -> None:
    loaded = loaded_by("from tunekit import *")
    assert not loaded & {"torch", "ray", "streamlit", "litellm", "sklearn", "optuna", "pandas"}


@pytest.mark.parametrize("module", LIGHT)
def test_the_records_and_the_contract_of_a_storage_load_no_heavy_package(module: str) -> None:
    loaded = loaded_by(f"import {module}")
    assert "tunekit" in loaded
    assert not loaded & HEAVY


def test_a_new_study_in_memory_loads_no_heavy_package() -> None:
    assert not loaded_by("import tunekit; tunekit.study()") & HEAVY


@pytest.mark.parametrize(("sampler", "n"), [("random", 9), ("grid", 9), ("auto", 6)])
def test_first_trials_in_memory_load_no_heavy_package(sampler: str, n: int) -> None:
    loaded = loaded_by(RUN.replace("SAMPLER", f"'{sampler}'").replace("N)", f"{n})"))
    assert not loaded & HEAVY


@pytest.mark.parametrize("stopper", ["asha", "hyperband", "median", "patience"])
def test_stoppers_of_one_metric_load_no_heavy_package(stopper: str) -> None:
    assert not loaded_by(WATCHED.replace("STOPPER", f"'{stopper}'")) & HEAVY


def test_first_trials_load_no_part_that_they_do_not_use() -> None:
    loaded = modules_of(RUN.replace("SAMPLER", "'auto'").replace("N)", "6)"))
    assert "tunekit.samplers.bayesian.sampler" in loaded
    assert not loaded & UNUSED


def test_first_trials_that_ask_for_their_parameters_load_no_heavy_package() -> None:
    assert not loaded_by(BY_PROGRAM) & HEAVY


def test_the_model_of_the_default_sampler_loads_numpy_and_scipy_before_it_proposes() -> None:
    loaded = loaded_by(RUN.replace("SAMPLER", "'auto'").replace("N)", "7)"))
    assert {"numpy", "scipy"} <= loaded


def test_a_thin_worker_needs_no_numpy_no_database_and_no_validation() -> None:
    loaded = loaded_by("import tunekit.client")
    assert not loaded & (HEAVY | {"numpy", "pydantic", "yaml", "psutil", "httpx2", "httpx"})


def test_help_of_the_command_line_does_not_import_numpy() -> None:
    loaded = loaded_by(
        "import contextlib, io, runpy, sys\n"
        "sys.argv = ['tunekit', '--help']\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    runpy.run_module('tunekit', run_name='__main__')"
    )
    assert "tunekit" in loaded
    assert not loaded & (HEAVY - {"rich", "typer"})


def test_the_public_names_are_these_and_no_others() -> None:
    assert set(tunekit.__all__) == PUBLIC
    assert set(dir(tunekit)) == PUBLIC
    for name in PUBLIC:
        assert getattr(tunekit, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'sudy'"):
        tunekit.sudy  # noqa: B018


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_imports(package: str) -> None:
    def fail(name: str) -> None:
        raise AssertionError(f"cannot import {name}")

    root = importlib.import_module(package)
    for module in pkgutil.walk_packages(root.__path__, f"{package}.", onerror=fail):
        # Alembic runs its environment file itself; __main__ starts the program.
        if module.name.rpartition(".")[2] not in ("__main__", "env"):
            importlib.import_module(module.name)


def test_no_file_is_longer_than_400_lines() -> None:
    files = [path for folder in SOURCES for path in (ROOT / folder).rglob("*.py")]
    assert files
    lengths = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in files}
    assert {path: n for path, n in lengths.items() if n > 400} == {}
