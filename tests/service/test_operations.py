import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tunekit.service.app import Service
from tunekit.storages.urls import open_storage
from tunekit.testing.service import running_service
from tunekit.testing.storages.access import Access, start, tell


def read(url: str) -> tuple[int, str]:
    with urllib.request.urlopen(url) as answer:
        return answer.status, answer.read().decode()


def test_metrics_count_requests_claims_and_results(tmp_path: Path) -> None:
    with running_service(Service(open_storage(tmp_path / "team.db"))) as url:
        storage = open_storage(url)
        access = Access(storage)
        (lease,) = access.claim()
        access.send(start(lease), tell(lease))
        access.send(tell(lease))
        storage.close()
        assert read(f"{url}/healthz") == (204, "")
        assert read(f"{url}/readyz") == (204, "")
        lines = read(f"{url}/metrics")[1].splitlines()
    assert "tunekit_claimed_trials_total 1.0" in lines
    assert 'tunekit_operations_total{status="ok"} 2.0' in lines
    assert 'tunekit_operations_total{status="conflict"} 1.0' in lines
    path = "/projects/{project}/studies/{study_id}/trials:exchange"
    assert any(f'route="{path}",status="200"' in line for line in lines)


class Process:
    """A service in a process of its own, its log in a list of lines."""

    def __init__(self, *flags: str, **environment: str) -> None:
        command = [sys.executable, "-m", "tunekit", "serve", "--no-accounts", "--port", "0"]
        self.process = subprocess.Popen(
            [*command, *flags],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        assert self.process.stderr is not None
        self.url = self.process.stderr.readline().split()[2]

    def stop(self) -> list[dict[str, object]]:
        """End it as an init system does; return its log."""
        self.process.send_signal(signal.SIGTERM)
        _, log = self.process.communicate()
        assert self.process.returncode == -signal.SIGTERM, log  # uvicorn ends by the signal
        return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


def test_log_lines_are_json_with_who_and_what_and_end_with_sigterm(tmp_path: Path) -> None:
    service = Process(TUNEKIT_SERVE_STORAGE=str(tmp_path / "team.db"))
    storage = open_storage(f"{service.url}/vision")
    access = Access(storage)
    access.claim(worker="host/1")
    storage.close()
    request = urllib.request.Request(f"{service.url}/nowhere", headers={"X-Request-ID": "mine-1"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    with refused.value as answer:
        assert answer.headers["X-Request-ID"] == "mine-1"
    lines = [line for line in service.stop() if line["event"] == "request"]
    claim = next(line for line in lines if str(line["route"]).endswith("trials:exchange"))
    assert (claim["project"], claim["study"], claim["worker"]) == ("vision", "1", "host/1")
    assert claim["status"] == 200
    assert len(str(claim["request_id"])) == 32
    assert next(line for line in lines if line["request_id"] == "mine-1")["status"] == 404


def test_a_public_address_without_accounts_is_refused_before_anything_is_opened(
    tmp_path: Path,
) -> None:
    flags = ["--no-accounts", "--host", "0.0.0.0", "--storage", str(tmp_path / "team.db")]
    done = subprocess.run(
        [sys.executable, "-m", "tunekit", "serve", *flags], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "without accounts anybody there" in done.stderr
    assert not (tmp_path / "team.db").exists()
