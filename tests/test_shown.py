"""What is shown of URLs and texts: never a secret, never a word to the terminal."""

import pytest

import tunekit as tk
from tunekit.errors import TunekitError
from tunekit.shown import printable, shown_url, without_secrets

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
        ("runs/lr=0.1/a.db", "runs/lr=0.1/a.db"),
        ("host=h password=hunter2 dbname=d", "host=h password=*** dbname=d"),
        ("host=h password = 'a hunter2' port=1", "host=h password = *** port=1"),
        ("postgresql://u:hunter2", "postgresql://u:***"),
        ("postgresql://u:hunter2/db", "postgresql://u:***/db"),
        ("postgresql://[::1]:5432/db", "postgresql://[::1]:5432/db"),
        ("postgresql://u:hunter2@h:1,i:2/db", "postgresql://u:***@h:1,i:2/db"),
        ("postgresql://u@h/db;password=hunter2", "postgresql://u@h/db;password=***"),
        ("postgresql://u@h/db&pgpassword=hunter2&port=1", "postgresql://u@h/db&pgpassword=***&port=1"),
        ("postgresql://h/db?user=u;password=hunter2", "postgresql://h/db?user=u;password=***"),
        ("postgresql://h/db?options=-cx.token%3Dhunter2", "postgresql://h/db?options=-cx.token=***"),
        ("memory://", "memory://"),
        ("postgresql://user:password@host/database", "postgresql://user:password@host/database"),
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


def test_a_failed_trial_keeps_no_password_of_a_url():
    def broken(trial):
        raise OSError(f"cannot open postgresql://u:{SECRET}@h/db")

    study = tk.study(space={"x": tk.Float(0, 1)}, sampler="random")
    study.optimize(broken, n_trials=1, catch=(OSError,))
    study.tell(study.ask(), state="failed", reason=f"no postgresql://u:{SECRET}@h/db")
    for trial in study.trials:
        assert "postgresql://u:***@h/db" in trial.end_reason
        assert SECRET not in repr(trial)
    assert SECRET not in study.trials_dataframe().to_csv()


def test_an_error_quotes_nothing_that_a_terminal_would_obey():
    raw = "a\x1b[2J\ud800"
    for wrong in ({"sampler": raw}, {"stopper": raw}, {"storage": f"sqlite:///{raw}/a.db"}):
        with pytest.raises(TunekitError) as caught:
            tk.study("s", space={"x": [1, 2]}, **wrong)
        assert "a\\x1b[2J\\ud800" in str(caught.value)
        assert not set(str(caught.value) + repr(caught.value)) & set("\x1b\ud800")


def test_a_text_that_explains_the_form_of_a_url_stays_readable() -> None:
    text = "expected http://host:port or postgresql://user:password@host:port/database"
    assert without_secrets(text) == text
