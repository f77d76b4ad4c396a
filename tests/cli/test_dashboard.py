"""`tunekit dashboard`: a page for a file or a service, that ends with its command."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tunekit.storages.urls import open_storage
from tunekit.testing.dashboard import served_dashboard
from tunekit.testing.studies import TrialMix, make_study

pytestmark = pytest.mark.slow


@contextmanager
def dashboard(url: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command; yield its process and the printed address."""
    command = [sys.executable, "-m", "tunekit", "dashboard", url]
    env = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "400"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env) as process:
        try:
            line = process.stderr.readline()
            assert "dashboard at http://127.0.0.1:" in line
            yield process, line.partition("dashboard at ")[2].split()[0]
        finally:
            process.kill()


@pytest.fixture
def file(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/own.db"
    storage = open_storage(url)
    make_study(storage, "mine", TrialMix(3))
    make_study(storage, "vision/theirs", TrialMix(3))
    storage.close()
    return url


def get(address: str, **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(address, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_it_shows_all_studies_of_a_file_and_ctrl_c_leaves_no_process_behind(file: str) -> None:
    with dashboard(file) as (process, address):
        assert get(address)[0] == 200
        base = address.partition("/dashboard")[0]
        status, text = get(f"{base}/api/v1/projects/default/studies")
        assert status == 200 and '"mine"' in text and '"vision/theirs"' in text
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert psutil.wait_procs(children, 60)[1] == []


def test_the_pages_end_with_a_service_that_is_killed(file: str) -> None:
    with dashboard(file) as (process, address):
        assert get(address)[0] == 200
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        assert psutil.wait_procs(children, 60)[1] == []


def test_a_page_of_another_host_cannot_use_the_address(file: str) -> None:
    with dashboard(file) as (_, address):
        status, text = get(address, Host="evil.example")
        assert status == 400 and "host" in text


def test_a_file_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    missing = tmp_path / "none.db"
    command = [sys.executable, "-m", "tunekit", "dashboard", str(missing)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0 and "no database at" in done.stderr
    assert not missing.exists()


def test_the_pages_of_a_service_elsewhere_open_only_by_the_printed_address(tmp_path: Path) -> None:
    with served_dashboard(f"sqlite:///{tmp_path}/team.db") as served:
        with dashboard(served.url) as (_, address):
            plain, _, key = address.partition("open/")
            assert key and get(plain) == (
                403,
                "Open the address that `tunekit dashboard` printed.",
            )
            assert get(f"{plain}open/wrong")[0] == 403
            assert get(f"{plain}_stcore/health")[0] == 403
            status, text = get(plain, Cookie=f"tunekit_pages={key}")
            assert status == 200 and "<title>" in text


def test_a_service_that_does_not_answer_is_said_to_be_away() -> None:
    command = [sys.executable, "-m", "tunekit", "dashboard", "http://127.0.0.1:9"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ})
    assert done.returncode != 0 and "does not answer" in done.stderr
