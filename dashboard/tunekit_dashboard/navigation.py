"""Knows the pages by their place in the address, and links to them with the study they show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

if TYPE_CHECKING:
    from tunekit_dashboard.client import Reader
    from tunekit_dashboard.frame import StudyFrame

_PAGES = "tunekit pages"


@dataclass(frozen=True, slots=True)
class StudyPage:
    """A page about one study.

    Attributes:
        url: its path in the address.
        title: of its link and of the browser's tab.
        icon: a Material symbol, `:material/name:`.
        show: draws it below the header of the study; errors become a card.
        is_shown: says of a study whether its link is there; by default always.
        is_linked: whether it has a link at all; the page of a trial is reached by a trial.
    """

    url: str
    title: str
    icon: str
    show: Callable[[StudyFrame], None]
    is_shown: Callable[[StudyFrame], bool] = lambda study: True
    is_linked: bool = True


@dataclass(frozen=True, slots=True)
class GeneralPage:
    """A page about all studies or about the service.

    Attributes:
        url, title, icon: as those of a `StudyPage`.
        show: draws it; errors become a card.
        is_shown: says of a caller whether its link is there; by default always.
    """

    url: str
    title: str
    icon: str
    show: Callable[[Reader], None]
    is_shown: Callable[[Reader], bool] = lambda reader: True


def remember_pages(pages: Mapping[str, Any]) -> None:
    """Keep the pages by their path, for links."""
    st.session_state[_PAGES] = dict(pages)


def link(url: str, label: str, *, icon: str | None = None, **query: str) -> None:
    """Draw a link to a page.

    Args:
        url: path of the page.
        label: already made safe with `plain`, where it holds a user's text.
        icon: a Material symbol.
        query: parameters of its address, such as those of a `StudyPlace`.
    """
    pages: Mapping[str, Any] = st.session_state.get(_PAGES, {})
    if url in pages:
        st.page_link(pages[url], label=label, icon=icon, query_params=query)


def go(url: str, **query: str) -> None:
    """Leave for another page at once; nothing after this call runs."""
    st.switch_page(st.session_state[_PAGES][url], query_params=query)
