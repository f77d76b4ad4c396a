import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import tunekit as tk
from tunekit.cli.app import app
from tunekit.studies.report import report_html
from tunekit.studies.report_notebook import PLOTLY, notebook_json
from tunekit.testing.dashboard import chromium, has_chromium

HOSTILE = "</script><script>alert(1)</script><img src=http://x.test/y onerror=alert(2)>"
SPACE = tk.Space(
    model=tk.Categorical(
        {"rbf": tk.Space(gamma=tk.Float(1e-4, 1.0, log=True)), "<i>a</i> & $b$": None}
    ),
    c=tk.Float(0.1, 10.0),
)


def _objective(trial: tk.Trial) -> dict[str, float]:
    loss = float((trial.params["c"] - 3.0) ** 2 + 1.0)
    for step in range(1, 4):
        trial.report({HOSTILE: loss + 1.0 / step}, step)
    if trial.number == 5:
        raise ValueError(HOSTILE + "x" * 1_000_000)
    return {HOSTILE: loss}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "s.db"
    made = tk.study(
        HOSTILE, space=SPACE, objectives={HOSTILE: "minimize"}, sampler="random", seed=1,
        storage=path,
    )  # fmt: skip
    made.optimize(_objective, n_trials=30, progress=False)
    tk.study("empty", space=SPACE, storage=path)
    return f"sqlite:///{path}"


@pytest.fixture
def written(url: str, tmp_path: Path) -> Path:
    path = tmp_path / "r.html"
    words = ["studies", "report", HOSTILE, "-o", str(path), "--storage", url]
    result = CliRunner().invoke(app, words, prog_name="tunekit")
    assert (result.exit_code, result.stdout) == (0, f"{path}\n")
    return path


class _Tags(HTMLParser):
    """Collects the tags of a document and their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_a_report_is_one_file_in_which_nothing_typed_is_markup(written: Path) -> None:
    tags = _Tags()
    tags.feed(written.read_text("utf-8"))
    names = [tag for tag, _ in tags.found]
    assert names.count("script") == 2 and "img" not in names and "link" not in names
    for _, attrs in tags.found:
        assert not {"src", "href", "onerror"} & set(attrs)
    charts = [a["id"] for tag, a in tags.found if tag == "div" and a.get("class") == "chart"]
    assert charts == [
        "history", "best", "curves", "tree", "importance", "slice", "contour", "parallel",
        "timeline",
    ]  # fmt: skip
    labels = [a["aria-label"] for _, a in tags.found if a.get("role") == "img"]
    assert all(labels) and len(set(labels)) == len(charts)


def test_a_report_names_the_best_trials_the_health_and_the_failures(written: Path) -> None:
    text = written.read_text("utf-8").partition("<body>")[2].partition("<script>")[0]
    assert "<h2>health</h2>" in text and "failures: healthy" in text
    assert "<h2>best trials</h2>" in text and "<h2>last failures</h2>" in text
    assert len(text) < 1_000_000  # the traceback of 1 MB is cut


def test_an_empty_study_has_a_report_of_sentences(url: str) -> None:
    study = tk.load_study("empty", storage=url)
    text = report_html(study._reader)
    assert "has no trials yet" in text and "No trial has started yet." in text


def test_a_report_needs_a_fitting_name_and_a_folder(url: str, tmp_path: Path) -> None:
    for words, said in (
        (["empty", "-o", "r.ipynb"], "expected a name ending in .html"),
        (["empty", "--notebook", "-o", "r.html"], "expected a name ending in .ipynb"),
        (["empty", "-o", str(tmp_path / "none" / "r.html")], "No such file or directory"),
        (["none", "-o", str(tmp_path / "r.html")], "no study"),
    ):
        found = CliRunner().invoke(app, ["studies", "report", *words, "--storage", url])
        assert found.exit_code != 0 and said in found.stderr.replace("\n", " ")
    assert not list(tmp_path.iterdir())


def _check_notebook(document: dict[str, Any]) -> None:
    """Check what nbformat 4.5 asks for."""
    assert (document["nbformat"], document["nbformat_minor"]) == (4, 5)
    assert set(document["metadata"]["kernelspec"]) >= {"name", "display_name"}
    ids = [cell["id"] for cell in document["cells"]]
    assert len(set(ids)) == len(ids) and all(re.fullmatch("[a-zA-Z0-9-_]{1,64}", i) for i in ids)
    for cell in document["cells"]:
        keys = {"id", "cell_type", "metadata", "source"}
        keys |= {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        assert set(cell) == keys and isinstance(cell["source"], str)
        for output in cell.get("outputs", ()):
            assert set(output) == {"output_type", "data", "metadata"}
            assert output["output_type"] == "display_data"


def test_a_notebook_is_valid_and_its_code_runs(url: str, tmp_path: Path) -> None:
    path = tmp_path / "r.ipynb"
    words = ["studies", "report", HOSTILE, "--notebook", "-o", str(path), "--storage", url]
    assert CliRunner().invoke(app, words).exit_code == 0
    document = json.loads(path.read_text("utf-8"))
    _check_notebook(document)
    names: dict[str, Any] = {}
    for cell in document["cells"]:
        if cell["cell_type"] == "markdown":
            assert "<" not in cell["source"]
            continue
        compiled = compile(cell["source"], cell["id"], "exec")
        exec(compiled, names)
    drawn = [
        c for c in document["cells"] if c.get("outputs") and PLOTLY in c["outputs"][0]["data"]
    ]
    assert len(drawn) == 9
    assert isinstance(names["study"], tk.Study)


def test_a_notebook_passes_the_validation_of_nbformat(url: str) -> None:
    nbformat = pytest.importorskip("nbformat")
    study = tk.load_study(HOSTILE, storage=url)
    nbformat.validate(json.loads(notebook_json(study._reader, url)))


def test_a_notebook_holds_no_secret_of_the_storage(url: str) -> None:
    study = tk.load_study("empty", storage=url)
    text = notebook_json(study._reader, "postgresql://me:secret@host/db")
    assert "secret" not in text and 'os.environ[\\"TUNEKIT_URL\\"]' in text


def test_a_notebook_shows_a_study_without_markup_of_its_user(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tk.load_study(HOSTILE, storage=url)
    text = study._repr_html_()
    tags = _Tags()
    tags.feed(text)
    assert {tag for tag, _ in tags.found} <= {
        "div", "p", "strong", "svg", "polyline", "table", "caption", "thead", "tbody", "tr", "th",
        "td", "small", "code",
    }  # fmt: skip
    assert len(text) < 10_000 and "30 trials" in text and "29 complete, 1 failed" in text
    assert "no trials yet" in tk.load_study("empty", storage=url)._repr_html_()


def test_a_notebook_says_in_a_sentence_that_a_study_is_gone(tmp_path: Path) -> None:
    made = tk.study("gone", space=SPACE, storage=tmp_path / "s.db")
    made.storage.delete_study("gone")
    assert re.fullmatch(r"<p>[^<]*gone[^<]*</p>|<p>[^<]*deleted[^<]*</p>", made._repr_html_())


@pytest.mark.browser
@pytest.mark.xdist_group("browser")
@pytest.mark.skipif(not has_chromium(), reason="no Chromium here; run .ci/chromium")
def test_a_report_opens_offline_without_a_request_or_an_error(written: Path) -> None:
    with chromium() as browser:
        page = browser.new_context(offline=True).new_page()
        page.set_default_timeout(300_000)  # of a machine under load
        _check_report(page, written)


def _check_report(page: Any, written: Path) -> None:
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(written.as_uri())
    page.locator("#timeline .main-svg").first.wait_for()  # the last one
    for name in ("history", "curves", "tree", "parallel", "contour"):
        assert page.locator(f"#{name} .main-svg").first.is_visible()
    assert page.locator("img").count() == page.locator("a").count() == 0
    assert HOSTILE[:20] in page.locator("#history .ytitle").text_content()
    assert HOSTILE[:20] in page.locator("#parallel .axis-title").last.text_content()
    assert "<i>a</i> & $b$" in page.locator("#parallel .tick text").all_text_contents()
    assert "<i>a</i> & $b$" in page.locator("#slice .xaxislayer-above text").all_text_contents()
    page.locator("summary").first.click()
    assert page.locator("details[open] tbody tr").count() > 29
    assert (said, asked) == ([], [written.as_uri()])
