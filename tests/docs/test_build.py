"""The documentation builds without a warning and is complete: errors, parts, public names."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tunekit
from tunekit import errors, registry

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return the text of each built page by its name."""
    out = tmp_path_factory.mktemp("site")
    words = ["-W", "--keep-going", "-q", "-E", "-d", str(out / "doctrees"), "-b", "html"]
    build = [sys.executable, "-m", "sphinx", *words, str(DOCS), str(out / "html")]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {p.stem: html.unescape(p.read_text()) for p in (out / "html").glob("*.html")}


@pytest.mark.slow
def test_the_site_builds_and_lists_every_error_part_and_public_name(site):
    codes = {
        kind.code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.TunekitError)
    }
    sections = re.findall(r'<section id="(tk\d+)[^"]*"', site["errors"])
    assert sorted(sections) == sorted(code.lower() for code in codes)
    for kind in ("sampler", "stopper"):
        rows = re.findall(
            r"<tr[^>]*><td><p>(?:<a[^>]*>)?<code[^>]*><span[^>]*>(\w+)<", site[f"{kind}s"]
        )
        assert sorted(rows) == sorted(registry._BUILT_IN[kind])
    shown = set(re.findall(r'id="(?:module-)?tunekit\.(\w+)"', site["api"]))
    assert set(tunekit.__all__) - {"__version__", "TrialPruned"} <= shown
