from pathlib import Path

import pytest

from tunekit.errors import InvalidArgument
from tunekit.service.access.rates import Rate, RateSettings
from tunekit.service.settings import read_settings


def test_a_flag_wins_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "serve.yaml"
    file.write_text("port: 1\nhost: 127.0.0.3\nlog_level: debug\n")
    monkeypatch.setenv("TUNEKIT_SERVE_PORT", "2")
    monkeypatch.setenv("TUNEKIT_SERVE_HOST", "127.0.0.2")
    settings = read_settings(file, {"port": 3, "host": None})
    assert (settings.port, settings.host, settings.log_level) == (3, "127.0.0.2", "debug")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("prt: 9000", r"'prt'.*did you mean \"port\""),
        ("port: far", r"'port'.*TUNEKIT_SERVE_PORT"),
        ("port: 70000", "'port'"),
        ("- 1", "holds no settings"),
        ("port: [", "holds no settings"),
        ("root_path: tunekit/", "'root_path'"),
    ],
)
def test_a_wrong_file_is_refused_in_a_sentence(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "serve.yaml"
    file.write_text(content)
    with pytest.raises(InvalidArgument, match=words):
        read_settings(file, {})


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="is not a file"):
        read_settings(tmp_path / "none.yaml", {})


def test_no_error_and_no_repr_shows_the_password_of_the_storage() -> None:
    url = "postgresql://ada:hunter2@localhost/team"
    settings = read_settings(None, {"storage": url})
    assert "hunter2" not in repr(settings) + str(settings)
    assert settings.storage is not None
    assert settings.storage.get_secret_value() == url
    with pytest.raises(InvalidArgument) as refused:
        read_settings(None, {"storage": url, "port": "hunter2"})
    assert "hunter2" not in str(refused.value)


def test_rates_are_the_defaults_of_the_limits_and_can_be_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert read_settings(None, {}).rates() == RateSettings()
    monkeypatch.setenv("TUNEKIT_SERVE_RATE_CALLER", "5")
    monkeypatch.setenv("TUNEKIT_SERVE_BURST_CALLER", "9")
    assert read_settings(None, {}).rates().caller == Rate(5.0, 9.0)
    for name, value in (("rate_login", 0), ("burst_address", 0.5)):
        with pytest.raises(InvalidArgument, match=name):
            read_settings(None, {name: value})
