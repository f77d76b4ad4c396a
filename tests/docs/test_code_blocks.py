"""Every code block of README.md and of docs/ runs, and prints what the page shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sybil.example import SybilFailure

from tests.docs.code_blocks import ACTIONS, PAGES, languages, run_page


def marked(page):
    """Return a page with the marks of what it runs."""
    return pytest.param(page, id=page.name, marks=[pytest.mark.ray] * (page.stem == "ray"))


@pytest.mark.slow
@pytest.mark.parametrize("page", [marked(page) for page in PAGES])
def test_the_code_of_the_page_runs_and_prints_what_is_shown(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUNEKIT_URL", raising=False)
    fenced = re.findall(r"^ {0,3}```+(?!\{)\w+$", page.read_text(), re.MULTILINE)
    assert run_page(page) == len(fenced)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_block_of_the_page_is_in_a_language_that_nothing_runs(page):
    assert languages(page) <= set(ACTIONS)


@pytest.mark.parametrize(
    "text",
    [
        "```python\nprint(1)\n```\n\n```text\n2\n```\n",
        "```text\n2\n```\n",
        "```python\nraise KeyError(1)\n```\n",
        "```sh\nfalse\n```\n",
        "```yaml\nformat: tunekit.space/1\nparameters: {x: {type: flaot}}\n```\n",
        "```console\n$ make nothing\n```\n",
        "```console\n$ tunekit studies lst\n```\n",
        "```console\n$ tunekit run -n 3 \\\n  --smapler auto -- ./train --lr {lr}\n```\n",
    ],
)
def test_a_page_that_is_wrong_is_found(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = Path("page.md")
    page.write_text(text)
    with pytest.raises((SybilFailure, AssertionError, KeyError, ValueError)):
        run_page(page)


def test_the_links_of_the_readme_lead_to_files_and_headings():
    readme = PAGES[0]
    links = re.findall(r"\]\((?!https?:)([^)#]+)(?:#([^)]+))?\)", readme.read_text())
    assert len(links) > 20
    for target, anchor in links:
        file = readme.parent / target
        assert file.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            assert anchor in [title.lower().replace(" ", "-") for title in titles], anchor
