"""Scripts in the shape of Optuna's examples run here once their import and constructor change."""

import logging
import re
import runpy
from pathlib import Path

import pytest

from tunekit.errors import TunekitError

optuna = pytest.importorskip("optuna")

SCRIPTS = {p.stem: p for p in sorted((Path(__file__).parent / "optuna_scripts").glob("*.py"))}

RULES = [
    (r"^import optuna$", "import optuna\nimport tunekit as tk"),
    (r"\boptuna\.create_study\(", "tk.study("),
    (r"\boptuna\.load_study\(", "tk.load_study("),
    (r"\boptuna\.get_all_study_summaries\(", "tk.get_all_study_summaries("),
    (r"\btrials_dataframe\(\)", 'trials_dataframe(attrs=("number", "value", "params", "state"))'),
    (r"\b(plot_\w+)\((\s*)study\b", r"\1(\2study.to_optuna()"),
]
"""What the table in `docs/migration.md` says to change, as patterns."""

REFUSED = {
    "artifacts": r"trial\.save_checkpoint\(step, path\) and study\.checkpoint_path\(trial\)",
    "attributes": r"tk\.study_names",
    "constraints": r"constraints=\[",
}
"""Scripts that take more than that, with what they are told."""

ported = [name for name in SCRIPTS if name not in REFUSED]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    logger = logging.getLogger("optuna")
    handlers = list(logger.handlers)
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def run(name, rules=()):
        text = SCRIPTS[name].read_text()
        for module in ("pandas", "plotly", "sklearn", "torch", "cmaes", "scipy"):
            if re.search(rf"^(import|from) {module}\b", text, flags=re.MULTILINE):
                pytest.importorskip(module)
        for pattern, new in rules:
            text = re.sub(pattern, new, text, flags=re.MULTILINE)
        script = tmp_path / f"{name}.py"
        script.write_text(text)
        return runpy.run_path(str(script), run_name="__main__")

    yield run
    logger.handlers[:] = handlers


@pytest.mark.filterwarnings("ignore")  # of Optuna, on parts of its own
@pytest.mark.parametrize("name", ported)
def test_a_script_of_optuna_runs_with_import_and_constructor_changed(name, run):
    done = run(name, RULES)
    assert type(done.get("study", done.get("source_study"))).__module__ == "tunekit.studies.study"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_one_of_optuna(name, run):
    assert run(name)["study"].trials


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REFUSED)
def test_a_script_that_takes_more_ends_with_a_sentence(name, run):
    with pytest.raises((TunekitError, AttributeError), match=REFUSED[name]):
        run(name, RULES)


def test_most_scripts_are_among_those_that_run():
    assert (len(ported), len(SCRIPTS)) == (27, 30)
