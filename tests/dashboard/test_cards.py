"""A part of a page that cannot be drawn is a card with a sentence and a way on."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tunekit import errors
from tunekit_dashboard import cards

_SCRIPT = """
from tunekit import errors
from tunekit_dashboard.cards import guarded

def draw():
    raise ERROR

guarded(draw)
guarded(draw)
"""


def _page(error: str) -> AppTest:
    page = AppTest.from_string(_SCRIPT.replace("ERROR", error), default_timeout=60).run()
    assert not page.exception
    return page


@pytest.mark.parametrize(
    ("error", "title"),
    [
        ("errors.ServiceBusy('wait <b>a</b> little')", "Still being computed"),
        ("errors.StorageUnreachable('gone <b>a</b>')", "The service does not answer"),
        ("errors.InvalidArgument('bad <b>a</b>')", "This did not work"),
        ("RuntimeError('secret of a bug')", "This page failed"),
    ],
)
def test_two_parts_of_a_page_fail_with_a_card_each(error: str, title: str) -> None:
    page = _page(error)
    heads = [e.value for e in page.subheader]
    assert len(heads) == 2 and all(title in head for head in heads)
    texts = " ".join(e.value for e in page.markdown)
    assert "secret" not in texts and "<b>" not in texts.replace("\\<", "")


def test_what_is_being_computed_is_asked_for_again_by_itself() -> None:
    assert issubclass(errors.ServiceBusy, errors.TunekitError)
    page = _page("errors.ServiceBusy('soon')")
    assert not page.button  # nobody has to press anything
    assert 0 < cards.BUSY_S <= 10
