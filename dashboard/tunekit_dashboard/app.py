"""The script that Streamlit runs for each page: navigation, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import streamlit as st

from tunekit_dashboard.actions.study_actions import study_actions
from tunekit_dashboard.cards import forget_cards, guarded
from tunekit_dashboard.client import Reader, page_reader
from tunekit_dashboard.frame import StudyFrame, draw_facts, draw_filters, draw_header, study_frame
from tunekit_dashboard.navigation import GeneralPage, StudyPage, link, remember_pages
from tunekit_dashboard.places import StudyPlace, place_in
from tunekit_dashboard.views import GENERAL_VIEWS, STUDY_VIEWS

ICON = Path(__file__).with_name("icon.svg")
"""Of the browser's tab; a named icon would be fetched from somebody else's server."""


def main() -> None:
    """Draw the page of the address."""
    pages = {v.url: _page(v, partial(_draw_general, v)) for v in GENERAL_VIEWS}
    pages |= {v.url: _page(v, partial(_draw_study, v)) for v in STUDY_VIEWS}
    remember_pages(pages)
    forget_cards()
    page = st.navigation(list(pages.values()), position="hidden")
    views: list[GeneralPage | StudyPage] = [*GENERAL_VIEWS, *STUDY_VIEWS]
    title = next(v.title for v in views if pages[v.url] is page)
    st.set_page_config(f"{title} · tunekit", page_icon=ICON, layout="wide")
    page.run()


def _page(view: GeneralPage | StudyPage, draw: Callable[[], None]) -> st.Page:
    is_first = view is GENERAL_VIEWS[0]
    # Streamlit sends the titles of all pages twice with each tick of a fragment, and shows none.
    return st.Page(draw, title="-", icon="", url_path=view.url, default=is_first)


def _draw_general(view: GeneralPage) -> None:
    def draw() -> None:
        reader = page_reader()
        _draw_links(reader)
        view.show(reader)

    guarded(draw)


def _draw_study(view: StudyPage) -> None:
    guarded(partial(_draw_study_page, view))


def _draw_study_page(view: StudyPage) -> None:
    place = place_in(st.query_params.to_dict())
    if place is None:
        st.info("Choose a study.", icon=":material/arrow_back:")
        link("studies", "All studies", icon=":material/arrow_back:")
        return
    reader = page_reader(place)
    study = study_frame(reader, place)
    draw_header(study, study_actions)
    _draw_links(reader, place)
    _draw_study_links(study)
    guarded(partial(draw_facts, study))
    with st.sidebar:
        guarded(partial(draw_filters, study))
    guarded(partial(view.show, study))


def _draw_links(reader: Reader, place: StudyPlace | None = None) -> None:
    """Draw the links of the service; somebody with a share link sees only the study."""
    with st.sidebar:
        if place is None or not place.is_shared:
            for view in GENERAL_VIEWS:
                if view.is_shown(reader):
                    link(view.url, view.title, icon=view.icon)


def _draw_study_links(study: StudyFrame) -> None:
    with st.sidebar:
        st.divider()
        for view in STUDY_VIEWS:
            if view.is_linked and view.is_shown(study):
                study.link(view.url, view.title, icon=view.icon)
        st.divider()


main()
