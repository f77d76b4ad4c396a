"""Shows figures on a page: title, chart, note, and the table with the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import streamlit as st

from tunekit.plots.figure import Figure, PanelFigure, PlaneFigure
from tunekit.plots.tables import table
from tunekit_dashboard.charts.echarts import Drawable, draw
from tunekit_dashboard.charts.options import EChart
from tunekit_dashboard.frame import StudyFrame
from tunekit_dashboard.texts import plain
from tunekit_dashboard.theme import is_dark

OnPick = Callable[[tuple[int, ...]], None]

N_COLUMNS = 3
"""Panels side by side."""
MAX_LINKS = 5
"""Picked trials with a link."""


def show_figure(
    figure: Figure, *, key: str, on_pick: OnPick | None = None, is_nested: bool = False
) -> tuple[int, ...]:
    """Draw a figure; return what the reader has picked in it: trials, or nodes of a tree.

    Args:
        figure: what to draw; with a reason instead of marks it is a sentence.
        key: unique on the page.
        on_pick: called with what was picked, before the page runs again.
        is_nested: a tree as nested areas.
    """
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="left"):
        st.markdown(f"**{plain(_title(figure), 160)}**", width="stretch")
        has_table = not figure.reason and st.toggle("Table", key=f"{key} table")
    if figure.reason:
        st.info(plain(figure.reason, 600), icon=":material/hourglass_empty:")
        return ()
    if isinstance(figure, PanelFigure):
        picked = _panels(figure, key=key)
    else:
        picked = _chart(figure, key=key, on_pick=on_pick, is_nested=is_nested)
    if figure.note:
        st.caption(plain(figure.note, 600))
    if has_table:
        show_table(figure)
    return picked


def show_table(figure: Figure) -> None:
    """Draw the numbers of a figure as a table."""
    twin = table(figure)
    columns = {name: [row[i] for row in twin.rows] for i, name in enumerate(twin.columns)}
    st.dataframe(
        {name: _cells(cells) for name, cells in columns.items()},
        hide_index=True, height=320, alt=f"The numbers of: {figure.alt}",
    )  # fmt: skip


def trial_links(study: StudyFrame, numbers: Sequence[int]) -> None:
    """Draw links to the pages of trials that were picked in a chart."""
    if not numbers:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        for number in numbers[:MAX_LINKS]:
            study.link(
                "trial", f"Open trial {number}", icon=":material/open_in_new:", trial=str(number)
            )


def _panels(figure: PanelFigure, *, key: str) -> tuple[int, ...]:
    picked: list[int] = []
    n = min(N_COLUMNS, len(figure.panels))
    for first in range(0, len(figure.panels), N_COLUMNS):
        columns = st.columns(n)
        row = figure.panels[first : first + N_COLUMNS]
        for i, (column, panel) in enumerate(zip(columns, row, strict=False)):
            with column:
                st.markdown(plain(panel.title.removeprefix(f"{figure.title}, "), 80))
                if panel.reason:
                    st.caption(plain(panel.reason, 300))
                else:
                    picked += _chart(panel, key=f"{key} {first + i}", height=260)
    return tuple(dict.fromkeys(picked))


def _chart(
    figure: Drawable,
    *,
    key: str,
    on_pick: OnPick | None = None,
    is_nested: bool = False,
    height: int | None = None,
) -> tuple[int, ...]:
    drawn = draw(figure, is_dark=is_dark(), is_nested=is_nested)
    shown: dict[str, Any] = {
        "key": f"{key} chart", "alt": figure.alt, "height": height or drawn.height,
    }  # fmt: skip
    if not drawn.can_pick:
        st.echarts_chart(drawn.option, **shown)
        state = None
    elif on_pick is not None:
        picking = partial(_pick, shown["key"], drawn, on_pick)
        state = st.echarts_chart(drawn.option, on_select=picking, **shown)
    else:
        state = st.echarts_chart(drawn.option, on_select="rerun", **shown)
    if drawn.note:
        st.caption(drawn.note)
    return () if state is None else drawn.picked(_selected(state))


def _pick(key: str, drawn: EChart, on_pick: OnPick) -> None:
    on_pick(drawn.picked(_selected(st.session_state.get(key))))


def _selected(state: Any) -> Sequence[Any]:
    selection = state.get("selection") if state is not None else None
    return selection.get("selected", ()) if selection is not None else ()


def _cells(cells: Sequence[Any]) -> Sequence[Any]:
    """Return a column of one type: texts where numbers and texts are mixed."""
    if any(isinstance(c, str) for c in cells):
        return [None if c is None else str(c) for c in cells]
    return cells


def _title(figure: Figure) -> str:
    """Return the title with a capital, unless it begins with the name of a metric."""
    planes = figure.panels if isinstance(figure, PanelFigure) else (figure,)
    names = [p.y.title for p in planes if isinstance(p, PlaneFigure)]
    if any(name and figure.title.startswith(f"{name} ") for name in names):
        return figure.title
    return figure.title[:1].upper() + figure.title[1:]
