"""A password planted in a storage's URL is in no output of any command, nor in Python's texts."""

from __future__ import annotations

import traceback

import pytest

import tunekit as tk
from tunekit.errors import TunekitError
from tunekit.storages.sql.postgresql import PostgreSQLDatabase, connection_defaults, parsed_url
from tunekit.storages.urls import open_storage

SECRET = "hunter2"
PASSWORD = f"p@a/{SECRET}?x:y"

COMMANDS = [
    ("run", "train.py:objective", "-n", "2", "--name", "s", "--sampler", "random",
     "--space", "train.py:space", "--minimize", "error"),
    ("run", "train.py:broken", "-n", "1", "--name", "b", "--sampler", "random",
     "--space", "train.py:space"),
    ("studies", "ls"), ("studies", "ls", "--json"), ("studies", "show", "s"),
    ("studies", "show", "s", "--json"), ("studies", "best", "s"), ("studies", "audit", "s"),
    ("studies", "export", "s", "out.csv"), ("studies", "show", "zz"),
    ("trials", "ls", "s"), ("trials", "ls", "s", "--format", "csv"), ("trials", "show", "s", "0"),
    ("trials", "show", "b", "0"), ("trials", "enqueue", "s", "--default"),
    ("trials", "stop", "s", "2"), ("export", "s", "out.json"),
    ("pause", "s"), ("stop", "s"), ("cancel", "s"),
    ("resume", "s", "--no-run"), ("resume", "s", "--yes", "-n", "3"),
    ("doctor",), ("doctor", "--json"), ("studies", "rm", "s", "--yes"),
]  # fmt: skip


NEVER_ON_THE_STORAGE = [
    ("init", "made", "-v"), ("completion", "show", "--shell", "bash", "-v"),
    ("bench", "ls", "-v"), ("run", "--help"), ("--version",),
    ("bench", "--problem", "tunekit.testing.problems:two", "--trials", "2", "--seeds", "1",
     "--pool-size", "50", "--sampler", "random", "--out", "r", "-v"),
]  # fmt: skip


@pytest.fixture(scope="module")
def password_server(postgres_server):
    postgres_server.add_user("secretive", PASSWORD)
    return postgres_server


@pytest.fixture
def urls(password_server, postgres_url):
    place = postgres_url.partition("@")[2]
    in_query = "p%40a%2Fhunter2%3Fx%3Ay"
    return [
        f"postgresql://secretive:{PASSWORD}@{place}",
        f"postgresql://secretive@{place}?password={in_query}",
    ]


@pytest.mark.postgres
@pytest.mark.parametrize("how", ["flag", "environment"])
@pytest.mark.parametrize("form", [0, 1])
def test_no_command_shows_the_password_of_a_real_server(cli, monkeypatch, urls, how, form):
    url = urls[form]
    extra = ("--storage", url) if how == "flag" else ()
    if how == "environment":
        monkeypatch.setenv("TUNEKIT_URL", url)
    statuses = {}
    for words in COMMANDS:
        result = cli(*words, *extra, "-v")
        assert SECRET not in result.stdout + result.stderr, words
        statuses[words] = result.exit_code
    wrong = {words for words, status in statuses.items() if status != 0}
    assert wrong == {w for w in COMMANDS if "zz" in w or ("run" in w and "b" in w)}, statuses


@pytest.mark.postgres
@pytest.mark.parametrize("form", [0, 1])
def test_no_text_of_python_shows_the_password_of_a_real_server(urls, caplog, form):
    caplog.set_level("DEBUG")
    project = f"{urls[form]}{'&' if form else '?'}project=mine"
    study = tk.study("s", space={"x": [1, 2]}, storage=project, sampler="random")
    study.optimize(lambda trial: trial.params["x"], n_trials=2, workers=2)
    assert tk.study_names(storage=project) == ["s"]
    assert tk.study_names(storage=urls[form]) == ["mine/s"]
    inner = open_storage(urls[form])
    texts = [repr(part) + str(part) for part in (study, study.storage, inner, inner._db)]
    texts += [repr(vars(part)) for part in (inner, inner._db)]
    with pytest.raises(TunekitError) as refused:
        tk.study("s", storage=urls[form].replace("/test_", "/absent_"))
    texts += ["".join(traceback.format_exception(refused.value)), caplog.text]
    inner.close()
    assert not [text for text in texts if SECRET in text]


@pytest.mark.parametrize("words", NEVER_ON_THE_STORAGE)
def test_no_command_shows_or_writes_the_password_of_the_environment(
    cli, folder, monkeypatch, words
):
    monkeypatch.setenv("TUNEKIT_URL", f"postgresql://u:{PASSWORD}@h/db")
    result = cli(*words)
    assert result.exit_code == 0, result.stderr
    assert SECRET not in result.stdout + result.stderr
    assert [f for f in folder.rglob("*") if f.is_file() and SECRET in f.read_text("latin-1")] == []


@pytest.mark.postgres
@pytest.mark.slow
def test_the_demo_shows_no_password(cli, urls):
    pytest.importorskip("sklearn")
    result = cli("demo", "-n", "1", "-w", "1", "--storage", urls[0], "-v")
    assert result.exit_code == 0, result.stderr
    assert "secretive:***@" in result.stdout
    assert SECRET not in result.stdout + result.stderr


FAULTY = f"""
import tunekit as tk

space = tk.Space(x=tk.Float(0, 1))


def objective(trial):
    trial.set_user_attr("url", "postgresql://u:{SECRET}@h/db")
    if trial.number:
        raise OSError("cannot open postgresql://u:{SECRET}@h/db")
    return 1.0
"""


def test_no_answer_shows_the_password_that_a_program_or_an_error_holds(cli, folder):
    (folder / "faulty.py").write_text(FAULTY)
    words = ("--space", "faulty.py:space", "--sampler", "random", "-n", "2")
    url = f"postgresql://u:{SECRET}@h/db"
    runs = [
        ("--name", "e", "faulty.py:objective"),
        ("--name", "p", "--", "sh", "-c", "echo 1", url),
    ]
    results = [cli("run", *words, *run) for run in runs]
    for form in ("table", "json", "yaml"):
        for question in (
            ("studies", "show", "e"), ("studies", "show", "p"), ("studies", "best", "e"),
            ("trials", "show", "e", "0"), ("trials", "show", "e", "1"), ("trials", "ls", "e"),
        ):  # fmt: skip
            results.append(cli(*question, "--format", form))
    for result in results:
        assert result.exit_code == 0, result.stderr
        assert SECRET not in result.stdout + result.stderr


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{PASSWORD}@127.0.0.1:1/db",
        f"host=127.0.0.1 port=1 user=u password={SECRET}",
        f"postgresql://u:{SECRET}",
        f"postgresql://u@127.0.0.1:1/db;password={SECRET}",
        f"postgresql://u:{SECRET}@/db?host=127.0.0.1&port=x",
        f" POSTGRESQL://u:a {SECRET}@127.0.0.1:1/db",
        f"mysql+pymysql://u:'{SECRET}@h/db",
        f"jdbc:postgresql://127.0.0.1:1/db?user=u&password={SECRET}",
        f"postgresql://u@127.0.0.1:1/db?password={SECRET}",
        f"postgresql://u:{SECRET}@h:port/db",
        f"postgresql://u:{SECRET}@h@127.0.0.1:1/db",
        f"postgresql://u@127.0.0.1:1/db?passwrd={SECRET}",
        f"mysql://u:{SECRET}@h/db",
        f"postgresql:u:{SECRET}@h/db",
        f"postgresql://:{SECRET}@/",
        f"sqlite://?key={SECRET}",
        f"sqlite:///no.db?key={SECRET}",
    ],
)
@pytest.mark.parametrize("words", [("studies", "ls"), ("doctor",), ("run", *COMMANDS[0][1:])])
def test_no_error_of_a_storage_shows_its_password(cli, monkeypatch, url, words):
    monkeypatch.setattr(PostgreSQLDatabase, "opening_s", 0.01)
    result = cli(*words, "--storage", url, "-v")
    assert SECRET not in result.stdout + result.stderr
    for opened in (tk.load_study, tk.delete_study):
        try:
            shown = repr(opened("s", storage=url))
        except TunekitError as error:
            shown = "".join(traceback.format_exception(error)) + repr(error)
        assert SECRET not in shown


@pytest.mark.parametrize("line", ["storage: [{}]", "storage: {}: x", "storage: [{}"])
def test_no_error_of_a_study_file_shows_its_password(cli, folder, line):
    url = f"postgresql://u:{SECRET}@h/db"
    text = f"objective: train.py:objective\ntrials: 1\n{line.format(url)}\n"
    (folder / "tunekit.yaml").write_text(text)
    result = cli("run", "-v")
    assert result.exit_code == 2
    assert SECRET not in result.stdout + result.stderr


@pytest.mark.postgres
def test_the_settings_of_a_url_are_kept(postgres_url):
    first = open_storage(postgres_url)
    first._db.write(lambda c: c.exec_driver_sql("CREATE SCHEMA mine"))
    first.close()
    url = f"{postgres_url}?options=-csearch_path%3Dmine&application_name=mine&connect_timeout=7"
    storage = open_storage(url)
    query = (
        "SELECT current_setting('search_path'), current_setting('application_name'), "
        "current_setting('idle_in_transaction_session_timeout'), "
        "(SELECT count(*) FROM pg_tables WHERE schemaname = 'mine' AND tablename = 'tk_trials')"
    )
    found = storage._db.read(lambda c: tuple(c.exec_driver_sql(query).one()))
    storage.close()
    assert found == ("mine", "mine", "30s", 1)
    assert "connect_timeout" not in connection_defaults(parsed_url(url))


def test_the_environment_of_postgresql_is_kept(monkeypatch):
    for name, value in {
        "PGOPTIONS": "-c search_path=x", "PGAPPNAME": "a", "PGCONNECT_TIMEOUT": "3"
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    assert connection_defaults(parsed_url("postgresql://h/db")) == {
        "options": "-c idle_in_transaction_session_timeout=30000 -c search_path=x"
    }
