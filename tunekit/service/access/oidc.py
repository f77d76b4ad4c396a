"""Logs people in at an OpenID Connect provider: authorization code with PKCE, state and nonce.

Reference:
    OpenID Connect Core 1.0; RFC 7636 (PKCE); RFC 9700, Best Current Practice for OAuth 2.0
    Security.
"""

from __future__ import annotations

import hmac
import logging
from typing import Any

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.base_client import BaseApp
from authlib.integrations.base_client.async_app import AsyncOAuth2Mixin
from authlib.integrations.base_client.async_openid import AsyncOpenIDMixin
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc.errors import JoseError

from tunekit.errors import NotAuthenticated, StorageUnreachable
from tunekit.service.access.oidc_records import Begun, OIDCIdentity, OIDCSettings

DISCOVERY = "/.well-known/openid-configuration"
TIMEOUT_S = 10.0
SIGNED_WITH = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures that are accepted: none of a shared secret, and never `none`."""

log = logging.getLogger("tunekit.service")


class _Client(AsyncOAuth2Mixin, AsyncOpenIDMixin, BaseApp):  # type: ignore[misc]  # the library has no types
    client_cls = AsyncOAuth2Client


class OIDC:
    """Begins and finishes logins at one provider.

    Args:
        settings: the provider.
    """

    def __init__(self, settings: OIDCSettings) -> None:
        self.settings = settings
        self._client = _Client(
            None,
            "oidc",
            client_id=settings.client_id,
            client_secret=settings.client_secret or None,
            server_metadata_url=settings.issuer.rstrip("/") + DISCOVERY,
            client_kwargs={
                "scope": "openid profile email",
                "code_challenge_method": "S256",
                "timeout": TIMEOUT_S,
                "token_endpoint_auth_method": "client_secret_basic"
                if settings.client_secret
                else "none",
            },
        )

        self._expected = {
            "iss": {"essential": True, "values": [settings.issuer]},
            "aud": {"essential": True, "values": [settings.client_id]},
        }

    async def begin(self, redirect_uri: str) -> Begun:
        """Return where to send the browser.

        Raises:
            StorageUnreachable: the provider does not answer.
        """
        try:
            await self._discover()
            made = await self._client.create_authorization_url(redirect_uri)
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from None
        return Begun(made["url"], made["state"], made["nonce"], made["code_verifier"])

    async def finish(
        self, begun: Begun, redirect_uri: str, answer: dict[str, str]
    ) -> OIDCIdentity:
        """Return who came back, from a verified ID token.

        Args:
            begun: what the browser kept.
            redirect_uri: as when it began.
            answer: query of the URL to which the provider sent the browser.

        Raises:
            NotAuthenticated: the login was refused, or is not the one that this browser began, or
                the token is not valid.
            StorageUnreachable: the provider does not answer.
        """
        if not hmac.compare_digest(answer.get("state", "").encode(), begun.state.encode()):
            raise NotAuthenticated("this login was not begun in this browser; log in again.")
        if "code" not in answer:
            raise NotAuthenticated("the provider refused the login; log in again.")
        try:
            await self._discover()
            token = await self._client.fetch_access_token(
                redirect_uri, code=answer["code"], code_verifier=begun.verifier
            )
            claims = await self._client.parse_id_token(token, begun.nonce, self._expected)
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from None
        except (AuthlibBaseError, JoseError, ValueError, KeyError) as error:
            log.warning("an OIDC login was refused: %s", type(error).__name__)
            raise NotAuthenticated("the provider's answer is not valid; log in again.") from None
        if claims is None:
            raise NotAuthenticated("the provider sent no ID token; check the client there.")
        name = claims.get("preferred_username") or claims.get("email") or claims["sub"]
        return OIDCIdentity(f"{claims['iss']} {claims['sub']}", str(name))

    async def _discover(self) -> None:
        """Read the provider's metadata once, and accept strong signatures only."""
        found: dict[str, Any] = await self._client.load_server_metadata()
        if found.get("issuer") != self.settings.issuer:
            self._client.server_metadata.clear()
            raise NotAuthenticated(
                "the OIDC provider calls itself by another issuer than the settings do; an "
                "operator has to mend the setting oidc_issuer."
            )
        offered = found.get("id_token_signing_alg_values_supported") or ["RS256"]
        found["id_token_signing_alg_values_supported"] = [a for a in offered if a in SIGNED_WITH]

    def _unreachable(self, error: Exception) -> StorageUnreachable:
        return StorageUnreachable(
            f"the OIDC provider {self.settings.issuer} does not answer ({type(error).__name__}); "
            "try again, or log in with a password."
        )
