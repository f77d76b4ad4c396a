"""The wheel: what is in it, and that it works beside a user's packages of similar names."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import tunekit

ROOT = Path(__file__).parent.parent

# Both tests need the wheel, so one worker runs both and builds it once.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of a freshly built wheel."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run([*command, str(ROOT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_holds_the_packages_the_spaces_and_the_type_markers(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    packages = ("tunekit", "tunekit_surrogates", "tunekit_integrations", "tunekit_dashboard")
    for package in packages:
        assert {f"{package}/__init__.py", f"{package}/py.typed"} <= names
    spaces = {path.name for path in (ROOT / "search_spaces").glob("*.yaml")}
    assert spaces
    assert {f"tunekit/search_spaces/{name}" for name in spaces} <= names
    sources = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "tunekit").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert sources <= names
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(packages)


def test_the_wheel_works_beside_packages_of_the_user_with_similar_names(
    wheel: Path, tmp_path: Path
) -> None:
    home, project = tmp_path / "venv", tmp_path / "project"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    site = home / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
    # The dependencies come from this environment, after the new one's own packages; without its
    # .pth files, so that an editable tunekit stays out of sight.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for name in ("dashboard", "integrations", "surrogates"):
        (project / name).mkdir(parents=True)
        (project / name / "__init__.py").write_text(f"OWNER = 'user of {name}'\n")
    bundled = min(path.stem for path in (ROOT / "search_spaces").glob("*.yaml"))
    (project / "check.py").write_text(
        "import dashboard, integrations, surrogates, tunekit as tk\n"
        "import tunekit_dashboard, tunekit_integrations, tunekit_surrogates\n"
        "assert [m.OWNER for m in (dashboard, integrations, surrogates)] == [\n"
        "    'user of dashboard', 'user of integrations', 'user of surrogates']\n"
        "study = tk.study(space={'x': tk.Float(0, 1)}, sampler='random',\n"
        "                 storage='sqlite:///wheel.db', seed=1)\n"
        "study.optimize(lambda trial: trial.params['x'], n_trials=3)\n"
        "assert len(study.trials) == 3\n"
        f"assert len(tk.load_space({bundled!r}).parameters) > 0\n"
        "print(tk.__file__)\n"
    )
    assert output([python, "check.py"], project) == str(site / "tunekit" / "__init__.py")
    version = f"tunekit {tunekit.__version__}"
    assert output([home / "bin" / "tunekit", "--version"], project) == version


def output(command: list[str | Path], folder: Path) -> str:
    """Return what a command prints that has to succeed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
