"""`tunekit doctor` on well and on sick installations."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

import tunekit as tk
from tunekit.cli.doctor import EXTRAS


def checks(result):
    return {c["check"]: (c["status"], c["detail"]) for c in json.loads(result.stdout)["checks"]}


def test_without_a_database_it_makes_none(cli, folder):
    result = cli("doctor", "--json")
    assert result.exit_code == 0
    assert checks(result)["storage"][1].startswith("no database yet")
    assert not (folder / "tunekit.db").exists()


def test_a_well_storage_is_measured_and_left_as_it_was(cli, finished):
    result = cli("doctor", "--json")
    found = checks(result)
    assert result.exit_code == 0
    assert found["write rate"][1].endswith("transactions/s")
    assert found["clock"][0] == "ok"
    assert not [name for name in found if name.startswith("study")]
    assert [r.spec.name for r in finished.storage.list_studies()] == ["s"]


def test_a_study_that_fails_too_often_is_found(cli):
    study = tk.study(
        "sick", space=tk.Space(x=[1, 2]), storage="sqlite:///tunekit.db", sampler="random"
    )
    for _ in range(4):
        study.tell(study.ask(), state="failed", reason="no data")
    status, detail = checks(cli("doctor", "--json"))["study sick"]
    assert status == "warn"
    assert "4 of 4 trials failed; the last, 3: no data" in detail


def test_a_trial_whose_worker_is_gone_is_found(cli, finished):
    from tunekit.driver.worker_id import worker_name
    from tunekit.storages.base import Claim

    host, kernel, pid, _, token = worker_name().split("/")
    gone = f"{host}/{kernel}/{pid}/1/{token}"  # our pid, but born at another time
    finished.storage.exchange(finished.id, gone, claim=Claim(1, "k"))
    status, detail = checks(cli("doctor", "--json"))["study s"]
    assert (status, "trials [3] are RUNNING" in detail) == ("warn", True)


def test_a_file_that_is_no_database_is_a_failure(cli, folder):
    (folder / "tunekit.db").write_bytes(b"this is no database" * 100)
    result = cli("doctor", "--json")
    assert result.exit_code == 1
    assert checks(result)["storage"][0] == "fail"


def test_a_server_that_is_away_is_status_7(cli):
    pytest.importorskip("psycopg2")
    result = cli("doctor", "--storage", "postgresql://u:secret@127.0.0.1:1/db")
    assert result.exit_code == 7
    assert "secret" not in result.output


def test_every_extra_of_users_is_checked_and_the_readme_names_no_other():
    root = Path(__file__).parents[2]
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = extras["optional-dependencies"]["all"][0]
    ours = set(re.fullmatch(r"tunekit-hpo\[([a-z,]+)\]", extras).group(1).split(","))
    named = re.search(r"# extras: ([a-z, ]+)", (root / "README.md").read_text()).group(1)
    assert ours == set(EXTRAS)
    assert set(named.split(", ")) - {"all"} <= ours


def test_a_missing_extra_is_off_with_the_line_to_type_and_no_warning(cli, monkeypatch):
    monkeypatch.setattr("tunekit.cli.doctor.EXTRAS", {"magic": ("no_such_module",)})
    result = cli("doctor", "--json")
    assert checks(result)["extra magic"] == (
        "off",
        "not installed: pip install 'tunekit-hpo[magic]'",
    )


def test_a_ray_cluster_that_does_not_answer_is_a_warning(cli, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    status, detail = checks(cli("doctor", "--json"))["ray"]
    assert status == "warn"
    assert detail.startswith("RAY_ADDRESS=127.0.0.1:9 does not answer")
