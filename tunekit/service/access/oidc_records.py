"""What the service and a browser keep of a login at an OpenID Connect provider."""

from __future__ import annotations

from dataclasses import dataclass, field

from tunekit.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class OIDCSettings:
    """An OpenID Connect provider at which this service is registered.

    Attributes:
        issuer: URL of the provider.
        client_id: of this service.
        client_secret: of this service; empty for a public client.
        create_users: whether whoever logs in there gets an account here.
    """

    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    create_users: bool = False

    def __post_init__(self) -> None:
        if not self.issuer.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
            raise InvalidArgument(
                f"OIDC issuer {self.issuer!r}: expected https://..., because tokens travel there."
            )


@dataclass(frozen=True, slots=True)
class Begun:
    """A login under way; the browser keeps it until it comes back.

    Attributes:
        url: of the provider, where the browser goes.
        state: that the provider sends back.
        nonce: that the ID token has to carry.
        verifier: that proves who began.
    """

    url: str
    state: str
    nonce: str
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OIDCIdentity:
    """Who somebody is at the provider.

    Attributes:
        subject: issuer and subject, which never change.
        name: what they are called there.
    """

    subject: str
    name: str
