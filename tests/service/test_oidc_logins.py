"""Logins at an OpenID Connect provider that runs beside the service."""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import httpx2
import pytest
from fastapi.testclient import TestClient
from joserfc.jwk import RSAKey

from tests.service.oidc_provider import Provider, running_provider
from tunekit.errors import InvalidArgument
from tunekit.service.access.oidc import OIDC
from tunekit.service.access.oidc_records import OIDCSettings
from tunekit.service.app import Service
from tunekit.storages.http.account_messages import UserChange, UserNew
from tunekit.testing.team import Team


@pytest.fixture
def database_url(tmp_path: object) -> str:
    return f"sqlite:///{tmp_path}/team.db"


@pytest.fixture
def provider(service: Service) -> Iterator[Provider]:
    with running_provider() as provider:
        settings = OIDCSettings(
            provider.issuer, provider.client_id, provider.client_secret, create_users=True
        )
        service.oidc = OIDC(settings)
        yield provider


def begin(client: TestClient) -> httpx2.Response:
    return client.get("/oidc/login", follow_redirects=False)


def sent_back(began: httpx2.Response) -> str:
    """Go where the service sent the browser; return where the provider sends it back."""
    answer = httpx2.get(began.headers["location"], follow_redirects=False)
    parts = urlsplit(answer.headers["location"])
    return f"{parts.path}?{parts.query}"


def log_in(client: TestClient) -> httpx2.Response:
    return client.get(sent_back(begin(client)), follow_redirects=False)


def test_the_first_login_makes_an_account_and_the_next_finds_it(
    client: TestClient, provider: Provider, team: Team
) -> None:
    done = log_in(client)
    assert done.status_code == 303 and done.headers["location"] == "/login"
    assert client.get("/api/v1/caller").json()["user"] == "ann-smith"
    asked = provider.asked[0]
    assert asked["redirect_uri"] == "http://127.0.0.1/oidc/callback"
    assert len(asked["state"]) >= 20 and len(asked["nonce"]) >= 20
    provider.person["preferred_username"] = "renamed"
    client.cookies.clear()
    log_in(client)
    assert client.get("/api/v1/caller").json()["user"] == "ann-smith"
    assert team.accounts.users.count() == 1


def test_a_name_at_the_provider_opens_no_account_of_that_name(
    client: TestClient, provider: Provider, team: Team
) -> None:
    team.user("ann", is_operator=True)
    provider.person["preferred_username"] = "ann"
    log_in(client)
    caller = client.get("/api/v1/caller").json()
    assert (caller["user"], caller.get("is_operator", False)) == ("ann-2", False)


def test_without_leave_to_create_users_only_known_subjects_come_in(
    client: TestClient, provider: Provider, service: Service, team: Team
) -> None:
    assert service.oidc is not None
    service.oidc.settings = replace(service.oidc.settings, create_users=False)
    refused = log_in(client)
    assert refused.status_code == 401 and "no account" in refused.json()["detail"]
    subject = f"{provider.issuer} 248289"
    assert subject in refused.json()["detail"]
    team.accounts.users.create(UserNew("ann", subject=subject))
    assert log_in(client).status_code == 303
    assert client.get("/api/v1/caller").json()["user"] == "ann"
    team.user("root", is_operator=True)
    team.accounts.users.change("ann", UserChange(is_active=False))
    assert log_in(client).status_code == 401


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "of another login"},
        {"aud": "another client"},
        {"aud": ["another client"], "azp": "tunekit"},
        {"iss": "https://elsewhere.example"},
        {"exp": 1_000_000_000},
    ],
)
def test_an_id_token_for_something_else_is_refused(
    client: TestClient, provider: Provider, claims: dict[str, object]
) -> None:
    provider.claims = claims
    refused = log_in(client)
    assert refused.status_code == 401 and "not valid" in refused.json()["detail"]
    assert client.get("/api/v1/caller").status_code == 401


def test_an_id_token_that_another_key_signed_is_refused(
    client: TestClient, provider: Provider
) -> None:
    provider.signing_key = RSAKey.generate_key(2048, {"kid": "1"})
    assert log_in(client).status_code == 401


def test_an_answer_counts_once_and_in_the_browser_that_asked(
    client: TestClient, provider: Provider
) -> None:
    back = sent_back(begin(client))
    kept = client.cookies["tunekit_oidc"]
    client.cookies.clear()
    stolen = client.get(back, follow_redirects=False)
    assert stolen.status_code == 401 and "this browser" in stolen.json()["detail"]
    begin(client)  # a login of its own does not fit either
    assert client.get(back, follow_redirects=False).status_code == 401
    client.cookies.clear()
    cookie = {"Cookie": f"tunekit_oidc={kept}"}
    assert client.get(back, headers=cookie, follow_redirects=False).status_code == 303
    assert client.get(back, headers=cookie, follow_redirects=False).status_code == 401
    garbage = {"Cookie": "tunekit_oidc=e30="}
    assert client.get(back, headers=garbage, follow_redirects=False).status_code == 401


def test_a_provider_under_another_name_or_without_encryption_is_refused(
    client: TestClient, provider: Provider
) -> None:
    provider.issuer = f"{provider.issuer}/other"
    refused = begin(client)
    assert refused.status_code == 401 and "another issuer" in refused.json()["detail"]
    with pytest.raises(InvalidArgument, match="https"):
        OIDCSettings("http://login.example", "tunekit")


def test_a_provider_that_is_away_is_said_to_be(client: TestClient, service: Service) -> None:
    with running_provider() as provider:
        service.oidc = OIDC(OIDCSettings(provider.issuer, provider.client_id))
    answer = begin(client)
    assert answer.status_code == 503 and "password" in answer.json()["detail"]


def test_a_service_without_a_provider_says_so(client: TestClient) -> None:
    assert begin(client).status_code == 404
    assert "oidc/login" not in client.get("/login").text
