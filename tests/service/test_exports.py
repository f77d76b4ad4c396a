import csv
import io
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from tunekit.records import ObjectiveSpec, Report, StudySpec, TrialRecord, TrialState
from tunekit.service.app import Service, create_app
from tunekit.service.routes import exports
from tunekit.spaces import Params
from tunekit.storages.project import ProjectStorage
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_database
from tunekit.studies import export


@pytest.fixture
def storage(database_url: str) -> Iterator[SQLStorage]:
    storage = SQLStorage(open_database(database_url))
    yield storage
    storage.close()


@pytest.fixture
def open_client(storage: SQLStorage) -> Iterator[TestClient]:
    with TestClient(create_app(Service(storage))) as client:
        yield client


def _study(storage: SQLStorage, trials: list[TrialRecord], name: str = "digits") -> Any:
    ours = ProjectStorage(storage, "vision")
    study = ours.create_study(StudySpec(name, (ObjectiveSpec("loss"),)))
    reports = {t.number: [Report(s, {"loss": float(s)}) for s in range(3)] for t in trials}
    ours.add_trials(study.id, trials, reports)
    return study


def _ended(number: int, **attrs: Any) -> TrialRecord:
    params = Params({"lr": number / 7, **({"depth": number} if number % 2 else {})})
    return TrialRecord(
        number, TrialState.COMPLETE, params=params, metrics={"loss": float(number)},
        user_attrs=attrs,
    )  # fmt: skip


def _get(client: TestClient, study: Any, **query: Any) -> Any:
    answer = client.get(f"/api/v1/projects/vision/studies/{study.id}/export", params=query)
    assert answer.status_code == 200, answer.text
    return answer


def test_each_format_holds_what_the_file_of_the_study_holds(
    storage: SQLStorage, open_client: TestClient, tmp_path: Path
) -> None:
    trials = [_ended(n, note=f"n{n}", late=1.5) for n in range(exports.BATCH + 30)]
    study = _study(storage, trials)
    stored = storage.changes(study.id).trials
    reports = storage.reports(study.id)
    for kind in ("csv", "parquet", "json"):
        export.write(tmp_path / f"all.{kind}", study, stored, reports)

    assert _get(open_client, study, format="csv").content == (tmp_path / "all.csv").read_bytes()
    lines = _get(open_client, study).text.splitlines()
    assert [json.loads(x) for x in lines] == json.loads((tmp_path / "all.json").read_text())[
        "trials"
    ]
    table = pq.read_table(io.BytesIO(_get(open_client, study, format="parquet").content))
    assert table.equals(pq.read_table(tmp_path / "all.parquet"))


def test_text_that_a_spreadsheet_would_run_is_disarmed_and_numbers_are_not(
    storage: SQLStorage, open_client: TestClient
) -> None:
    attack = '=HYPERLINK("http://evil")'
    study = _study(
        storage, [_ended(1, note=attack, **{"@x": -3.5}), _ended(2, note="+1", **{"@x": 2})]
    )
    header, first, second = csv.reader(io.StringIO(_get(open_client, study, format="csv").text))
    assert first[header.index("attrs.note")] == f"'{attack}"
    assert second[header.index("attrs.note")] == "'+1"
    assert first[header.index("attrs.@x")] == "-3.5"
    exact = _get(open_client, study, format="csv", exact=True).text
    header, first, _ = csv.reader(io.StringIO(exact))
    assert first[header.index("attrs.note")] == attack


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_a_study_without_trials_is_an_empty_file(
    storage: SQLStorage, open_client: TestClient, kind: str
) -> None:
    content = _get(open_client, _study(storage, []), format=kind).content
    if kind == "jsonl":
        assert content == b""
    elif kind == "csv":
        assert content.startswith(b"number,state,") and content.count(b"\n") == 1
    else:
        assert pq.read_table(io.BytesIO(content)).num_rows == 0


def test_an_export_is_a_download_with_a_safe_name(
    storage: SQLStorage, open_client: TestClient
) -> None:
    headers = _get(open_client, _study(storage, [_ended(0)], 'a"; x=ü')).headers
    assert headers["content-disposition"] == (
        "attachment; filename=\"a___x__.jsonl\"; filename*=UTF-8''a%22%3B%20x%3D%C3%BC.jsonl"
    )
    assert headers["x-content-type-options"] == "nosniff"


def test_the_memory_of_an_export_does_not_grow_with_the_study(
    storage: SQLStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "BATCH", 10)
    peaks = []
    for n in (100, 1000):
        study = _study(storage, [_ended(i, note="x" * 5000) for i in range(n)], f"n{n}")
        for warm in (True, False):
            if not warm:
                tracemalloc.start()
            size = sum(map(len, exports._parts(storage, study, "jsonl", exact=False)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert size > n * 5000
    assert peaks[1] < 2 * peaks[0]
