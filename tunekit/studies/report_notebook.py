"""Writes a notebook that loads a study and draws it, with the figures as they are now."""

from __future__ import annotations

import json
from typing import Any

from tunekit.driver.study_reader import StudyReader
from tunekit.errors import MissingExtra
from tunekit.plots.figure import Figure
from tunekit.plots.texts import label
from tunekit.shown import shown_url
from tunekit.studies.report_figures import report_figures
from tunekit.studies.study_html import best_sentence, study_html

PLOTLY = "application/vnd.plotly.v1+json"
_CALLS = {"importance": "importance(by_branch=True)"}


def notebook_json(reader: StudyReader, url: str) -> str:
    """Return a notebook in nbformat 4.5.

    Args:
        reader: of the study.
        url: of its storage; one with a secret is read from $TUNEKIT_URL when the notebook runs.

    Raises:
        MissingExtra: Plotly is not installed.
    """
    try:
        from tunekit.plots.plotly import to_plotly
    except ImportError:
        raise MissingExtra("plots", "a notebook") from None
    figures = report_figures(reader)
    said = best_sentence(reader.history)
    shown = {"text/html": study_html(reader), "text/plain": said}
    cells = [
        _text("title", f"# {_markdown(label(reader.record.spec.name, 200))}\n\n{_markdown(said)}"),
        _code("load", _loading(reader.record.spec.name, url), shown),
        _code("health", "print(study.health())", None),
    ]
    for name, figure in figures.items():
        cells.append(_text(f"about-{name}", _markdown(figure.alt)))
        call = _CALLS.get(name, f"{name}()")
        drawn = json.loads(to_plotly(figure).to_json())
        cells.append(_code(name, f"study.plot.{call}", _shown(figure, drawn)))
    python = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document = {
        "cells": cells,
        "metadata": {"kernelspec": python, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, indent=1)


def _shown(figure: Figure, drawn: Any) -> dict[str, Any]:
    return {PLOTLY: drawn, "text/plain": figure.alt}


def _loading(name: str, url: str) -> str:
    if shown_url(url) != url:
        lines = ["import os", "", "import tunekit as tk", ""]
        place = 'os.environ["TUNEKIT_URL"]'
    else:
        lines, place = ["import tunekit as tk", ""], repr(url)
    return "\n".join([*lines, f"study = tk.load_study({name!r}, storage={place})", "study"])


def _markdown(text: str) -> str:
    """Return a text of a user so that Markdown, TeX and HTML show it as it is."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]()#+-.!|~>$" else _entity(c) for c in text)


def _entity(c: str) -> str:
    return {"<": "&lt;", "&": "&amp;"}.get(c, c)


def _text(key: str, source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": key, "metadata": {}, "source": source}


def _code(key: str, source: str, shown: dict[str, Any] | None) -> dict[str, Any]:
    outputs = [] if shown is None else [
        {"output_type": "display_data", "data": shown, "metadata": {}}
    ]  # fmt: skip
    return {
        "cell_type": "code",
        "id": key,
        "metadata": {},
        "source": source,
        "execution_count": None,
        "outputs": outputs,
    }
