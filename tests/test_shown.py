"""What is shown of URLs and texts: never a secret, never a word to the terminal."""

import pytest

from tunekit.shown import printable, shown_url

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:hunter2@h:1/db", "postgresql://u:***@h:1/db"),
        ("postgresql://u:hunter2@x@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u:a@hunter2@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u:a/hunter2@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u:1/hunter2@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u:a?hunter2@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u:a@b/hunter2?x:y@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u:a?b=hunter2@h/db", "postgresql://u:***@h/db"),
        ("postgresql://h/db?hunter2", "postgresql://h/db?***"),
        ("postgresql://u:a:hunter2@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u:hunter%402@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u:@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u@h/db", "postgresql://u@h/db"),
        ("postgresql://h:5432/db", "postgresql://h:5432/db"),
        ("postgresql://u@h/db?password=hunter2", "postgresql://u@h/db?password=***"),
        ("postgresql://h:1/db?password=a@hunter2", "postgresql://h:1/db?password=***"),
        ("postgresql://u@h/db?password=a&hunter2&port=1", "postgresql://u@h/db?password=***&***&port=1"),
        ("postgresql:///db?host=h&passwd=hunter2&options=-c%20x=1", "postgresql:///db?host=h&passwd=***&options=-c%20x=1"),
        ("mysql://u:hunter2@h/db", "mysql://u:***@h/db"),
        ("postgresql:u:hunter2@h/db", "***@h/db"),
        ("sqlite:////folder/a.db?key=hunter2", "sqlite:////folder/a.db?key=***"),
        ("folder/a@b.db", "folder/a@b.db"),
        ("memory://", "memory://"),
    ],
)  # fmt: skip
def test_a_url_is_shown_without_its_secrets(url, shown):
    assert shown_url(url) == shown
    assert SECRET not in shown_url(url)


def test_a_text_loses_what_a_terminal_would_obey():
    raw = "a\x1b[2Jb\x07\x9bc\x7f\u202ed\ud800\r\n\te\u3000ü"
    assert printable(raw) == "a\\x1b[2Jb\\x07\\x9bc\\x7f\\u202ed\\ud800\\r\n\te\u3000ü"


def test_a_text_loses_the_secrets_of_its_urls():
    text = "cannot open postgresql://u:hunter2@h/db, try 'postgresql://h/db?password=hunter2'"
    assert printable(text) == (
        "cannot open postgresql://u:***@h/db, try 'postgresql://h/db?password=***'"
    )


def test_a_plain_text_stays_as_it_is():
    assert printable("trial 3 failed: größer\n\tals 2") == "trial 3 failed: größer\n\tals 2"
