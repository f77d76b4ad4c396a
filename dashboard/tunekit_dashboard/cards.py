"""Draws a card in place of a page that cannot be shown, with a next step."""

from __future__ import annotations

import logging
from collections.abc import Callable
from urllib.parse import urlsplit

import streamlit as st

from tunekit.errors import (
    NotAllowed,
    NotAuthenticated,
    ServiceBusy,
    StorageUnreachable,
    TunekitError,
    UnknownProject,
    UnknownStudy,
)
from tunekit_dashboard.texts import plain
from tunekit_dashboard.theme import main_kind

BUSY_S = 3.0
"""Seconds until a page asks again for what the service is computing."""
_CARDS = "tunekit cards"
LOG = logging.getLogger("tunekit.dashboard")


def guarded(draw: Callable[[], None]) -> None:
    """Draw something; where it fails draw a card with a sentence and a way on instead."""
    try:
        draw()
    except NotAuthenticated:
        login_card()
    except ServiceBusy as error:
        _computing(str(error))
    except StorageUnreachable as error:
        _failed("The service does not answer", str(error), icon=":material/cloud_off:")
    except (UnknownStudy, UnknownProject) as error:
        card("There is nothing to see here", str(error), icon=":material/search_off:")
        back_link()
    except NotAllowed as error:
        card("You may not do this", str(error), icon=":material/lock:")
        back_link()
    except TunekitError as error:
        _failed("This did not work", str(error), icon=":material/error:")
    except Exception:
        LOG.exception("a page failed")
        detail = "The log of the dashboard says why; the other pages work."
        _failed("This page failed", detail, icon=":material/error:")


def _computing(detail: str) -> None:
    """Draw a card that polls until the service has finished computing."""
    card("Still being computed", detail, icon=":material/hourglass_top:")
    place = _next_card()
    st.session_state.pop(f"{_CARDS} {place}", None)
    st.fragment(_again, run_every=BUSY_S, key=f"busy {place}")(place)


def _again(place: int) -> None:
    """Run the page again, but not when the card has just been drawn."""
    key = f"{_CARDS} {place}"
    if st.session_state.get(key):
        st.rerun()
    st.session_state[key] = True


def _next_card() -> int:
    """Return the place of a card on the page: several parts of it may have one."""
    drawn: int = st.session_state.setdefault(_CARDS, 0)
    st.session_state[_CARDS] = drawn + 1
    return drawn


def _failed(title: str, detail: str, *, icon: str) -> None:
    card(title, detail, icon=icon)
    with st.container(horizontal=True):
        retry_button()
        back_link()


def card(title: str, detail: str, *, icon: str) -> None:
    """Draw a card: a title and a sentence, which may hold a user's text."""
    with st.container(border=True):
        st.subheader(f"{icon} {plain(title)}", anchor=False)
        st.markdown(plain(detail, 2000))


def forget_cards() -> None:
    """Begin a new run of the page, without cards."""
    st.session_state[_CARDS] = 0


def retry_button() -> None:
    """Draw a button that runs the page again."""
    st.button("Try again", icon=":material/refresh:", key=f"retry {_next_card()}")


def back_link() -> None:
    """Draw a link to the list of studies."""
    from tunekit_dashboard.navigation import link

    link("studies", "All studies", icon=":material/arrow_back:")


def login_card() -> None:
    """Draw what somebody sees who is not logged in: a link to the login page."""
    card("Log in", "Your login has ended, or you have none yet.", icon=":material/login:")
    st.link_button("Log in", f"{service_root()}/login", type=main_kind())


def service_root() -> str:
    """Return the URL of the service as this browser knows it, without a slash at its end."""
    return root_of(str(st.context.url or ""))


def root_of(page: str) -> str:
    """Return the URL of the service that publishes a page, such as `https://host/tunekit`."""
    parts = urlsplit(page)
    root = parts.path.partition("/dashboard")[0]
    return f"{parts.scheme}://{parts.netloc}{root}" if parts.netloc else root
