"""Requests that schemathesis generates from the OpenAPI document, sent to a running service."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.service.conftest import service_at
from tunekit.records import ObjectiveSpec, StudySpec
from tunekit.service.access.rates import Rate, RateLimits, RateSettings
from tunekit.service.app import Service, create_app
from tunekit.spaces import Float, Space
from tunekit.testing.service import running_service
from tunekit.testing.team import Team

pytestmark = [pytest.mark.slow, pytest.mark.faults]

CHECKS = (
    "not_a_server_error,status_code_conformance,response_schema_conformance,"
    "negative_data_rejection,use_after_free"
)
ACCESS = ",ignored_auth,object_level_authorization"
"""Checks that repeat each request as nobody and as another user."""
SELF_DESTRUCTIVE = ("log_out", "revoke_token", "delete_project", "stream_events")
"""Operations that would end the run's own token or project, or answer without an end."""

HOOKS = Path(__file__).with_name("schemathesis_hooks.py")
ROUNDS = int(os.environ.get("TUNEKIT_FAULT_ROUNDS", "1"))
PARTS = 1 if ROUNDS > 1 else 3
"""With one round, each of the two runs over all operations takes every third of them: a run of all
takes minutes, most of them in the generator."""
UNLIMITED = Rate(1e9, 1e9)


@pytest.fixture
def served(tmp_path: Path) -> Service:
    """A service with a user of one project and one of another, and a study of the first."""
    service = service_at(f"sqlite:///{tmp_path}/team.db")
    service.rates = RateLimits(RateSettings(UNLIMITED, UNLIMITED, UNLIMITED))
    assert service.accounts is not None
    team = Team(service.accounts)
    for project, admin in (("vision", "alice"), ("speech", "bob")):
        team.project(project)
        team.user(admin, is_operator=admin == "alice", may_create=admin == "alice")
        service.accounts.projects.set_role(project, admin, "admin")
    team.user("carol")
    space = Space(x=Float(0.0, 1.0))
    spec = StudySpec("kept", (ObjectiveSpec("loss"),), space=space)
    assert service.of_project("vision").create_study(spec).id == 1
    users = [
        {
            "name": name,
            "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {team.token(name)}"}],
        }
        for name in ("alice", "bob")
    ]
    (tmp_path / "users.json").write_text(json.dumps({"auth": users}))
    return service


def generate(
    service: Service,
    folder: Path,
    *flags: str,
    study: int | None = None,
    sends_examples: bool = False,
    tries_others: bool = True,
) -> None:
    """Run schemathesis as alice, who must not show bob what is hers."""
    fixed: dict[str, object] = {"path.project": "vision", "path.user": "carol"}
    if study is not None:
        fixed["path.study_id"] = study
    settings = folder / "schemathesis.toml"
    parameters = [f'"{name}" = {json.dumps(value)}' for name, value in fixed.items()]
    hooks = f'hooks = "{HOOKS}"\n' if sends_examples else ""
    settings.write_text(
        f'{hooks}[auth.wfc]\npath = "{folder}/users.json"\nuser = "alice"\n'
        'peers = ["alice", "bob"]\n[parameters]\n' + "\n".join(parameters)
    )
    checks = CHECKS + ACCESS if tries_others else CHECKS
    left_out = [f"--exclude-operation-id={name}" for name in SELF_DESTRUCTIVE]
    with running_service(service) as url:
        # Described once, so that schemathesis has not to wait for it longer than it does.
        urllib.request.urlopen(f"{url}/openapi.json").close()
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(settings)),
                *("run", f"{url}/openapi.json", "--checks", checks, "--seed=1"),
                *("--suppress-health-check=all", "--warnings=off", "--request-timeout=60"),
                *(*left_out, *flags),
            ],
            capture_output=True,
            text=True,
            cwd=folder,
        )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def only(service: Service, part: int) -> list[str]:
    """Return flags that choose every `PARTS`-th operation, from `part` on."""
    paths = create_app(service).openapi()["paths"].values()
    names = sorted(operation["operationId"] for path in paths for operation in path.values())
    return [f"--include-operation-id={name}" for name in names[part::PARTS]]


def answered(service: Service, route: str = "") -> int:
    """Return how many requests of a route the service granted: a run must not be all refusals."""
    lines = service.metrics.exposition().decode().splitlines()
    label = re.compile(rf'.*route="{re.escape(route)}' if route else ".*")
    counts = [line for line in lines if re.match(r"\w+\{.*status=\"2\d\d\"", line)]
    return sum(int(float(c.rsplit(" ", 1)[1])) for c in counts if label.match(c))


def test_no_valid_request_breaks_the_service_or_its_description(
    served: Service, tmp_path: Path
) -> None:
    generate(
        served, tmp_path, "--phases=examples,coverage,fuzzing", f"--max-examples={2 * ROUNDS}",
        "--mode=positive", "--exclude-operation-id=delete_study", *only(served, part=0),
        study=1, tries_others=ROUNDS > 1,
    )  # fmt: skip
    assert answered(served) > 100 / PARTS


def test_no_invalid_request_is_taken_for_a_valid_one(served: Service, tmp_path: Path) -> None:
    # Without an id given: it would repair the requests in which that id is what is wrong.
    generate(
        served, tmp_path, "--phases=coverage", "--mode=negative",
        "--exclude-operation-id=delete_study", *only(served, part=PARTS - 1),
        tries_others=ROUNDS > 1,
    )  # fmt: skip


def test_what_was_deleted_is_gone_and_what_one_made_another_cannot_read(
    served: Service, tmp_path: Path
) -> None:
    names = ("create_study", "get_study", "find_study", "list_studies", "delete_study")
    generate(
        served, tmp_path, "--phases=examples,fuzzing,stateful", "--max-examples=15",
        *(f"--include-operation-id={name}" for name in names),
    )  # fmt: skip
    assert answered(served, "/projects/{project}/studies/{study_id}") > 5


def test_a_walk_along_the_links_finds_no_error(served: Service, tmp_path: Path) -> None:
    # With the id of the study given: a walk that had to create it first would rarely go further.
    generate(
        served, tmp_path, "--phases=stateful", f"--max-examples={12 * ROUNDS}", "--mode=positive",
        "--exclude-operation-id=delete_study", study=1, sends_examples=True,
    )  # fmt: skip
    assert answered(served) > 30
