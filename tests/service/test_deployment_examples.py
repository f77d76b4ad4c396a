"""The files of examples/deployment fit the service: settings, flags, metrics, units."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from typer.main import get_command

from tunekit.cli.app import app
from tunekit.service.metrics import Metrics
from tunekit.service.settings import read_settings

FILES = Path(__file__).parents[2] / "examples" / "deployment"


def test_the_settings_file_is_read_whole() -> None:
    settings = read_settings(FILES / "serve.yaml", {})
    assert settings.storage is not None
    assert settings.storage.get_secret_value() == "sqlite:////var/lib/tunekit/team.db"
    assert settings.allowed_hosts == ("tune.example.com",)


def test_the_commands_of_the_examples_have_flags_that_exist() -> None:
    serve = get_command(app).commands["serve"]  # type: ignore[attr-defined]
    known = {option for p in serve.params for option in p.opts}
    compose = yaml.safe_load((FILES / "compose.yaml").read_text())
    words = compose["services"]["tunekit"]["command"]
    unit = (FILES / "tunekit.service").read_text()
    words += re.search("^ExecStart=(.*)$", unit, re.M)[1].split()
    assert {w for w in words if w.startswith("--")} <= known
    grace_s = int(compose["services"]["tunekit"]["stop_grace_period"].removesuffix("s"))
    assert grace_s > read_settings(None, {}).shutdown_s


def test_every_metric_of_the_board_is_one_of_the_service() -> None:
    exposed = text_string_to_metric_families(Metrics().exposition().decode())
    names = {family.name for family in exposed}
    board = json.loads((FILES / "board.json").read_text())
    shown = [t["expr"] for panel in board["panels"] for t in panel["targets"]]
    used = {name for text in shown for name in re.findall(r"tunekit_\w+", text)}
    assert used
    assert {re.sub("_(total|count|sum|bucket)$", "", name) for name in used} <= names


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = (FILES / "tunekit.service").read_text()
    copy = tmp_path / "tunekit.service"
    copy.write_text(re.sub("^ExecStart=.*$", "ExecStart=/bin/true", unit, flags=re.M))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True
    )
    assert [line for line in done.stderr.splitlines() if "tunekit.service" in line] == []
