"""Defines the bodies of requests and answers about accounts.

Fields with secrets are left out of a record's `repr`, and the codec quotes none of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

RoleName = Literal["viewer", "worker", "editor", "admin"]
ScopeName = Literal["viewer", "worker", "editor", "admin", "operator"]


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """Logs a user in with their password."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Login:
    """A login; its cookie comes with the answer.

    Attributes:
        user: who is logged in.
        csrf: value of the header `X-CSRF-Token` of requests that change something.
        expires: when it ends, in seconds since 1970.
    """

    user: str
    csrf: str = field(repr=False)
    expires: float


@dataclass(frozen=True, slots=True)
class SetupRequest:
    """Sets a password with the secret of a one-time link; `name` makes the first operator."""

    secret: str = field(repr=False)
    password: str = field(repr=False)
    name: str | None = None


@dataclass(frozen=True, slots=True)
class PasswordChange:
    """Replaces the caller's password."""

    current: str = field(repr=False)
    new: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class UserNew:
    """Creates a user.

    Attributes:
        name: of the account.
        is_operator: whether they run the service.
        may_create: whether they may create projects.
        subject: who they are at the OIDC provider, as `issuer subject`.
    """

    name: str
    is_operator: bool = False
    may_create: bool = False
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class UserChange:
    """Changes what is given of a user."""

    is_operator: bool | None = None
    may_create: bool | None = None
    is_active: bool | None = None


@dataclass(frozen=True, slots=True)
class User:
    """A user of the service; `created` in seconds since 1970."""

    name: str
    is_operator: bool
    may_create: bool
    is_active: bool
    created: float


@dataclass(frozen=True, slots=True)
class UserPage:
    """Users by name; `after` continues the list, `None` at its end."""

    users: tuple[User, ...]
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Invitation:
    """A one-time link with which a user sets their password.

    Attributes:
        user: whose password.
        path: of the page below the URL of the service, with the secret in its fragment.
        expires: when it ends, in seconds since 1970.
    """

    user: str
    path: str = field(repr=False)
    expires: float


@dataclass(frozen=True, slots=True)
class ProjectNew:
    """Creates a project; whoever creates it is its admin."""

    name: str


@dataclass(frozen=True, slots=True)
class Project:
    """A project and the caller's role in it."""

    name: str
    role: ScopeName


@dataclass(frozen=True, slots=True)
class ProjectPage:
    """The caller's projects by name; `after` continues the list, `None` at its end."""

    projects: tuple[Project, ...]
    after: str | None = None


@dataclass(frozen=True, slots=True)
class MemberRole:
    """Gives a role in a project."""

    role: RoleName


@dataclass(frozen=True, slots=True)
class ProjectMember:
    """A user with a role in a project."""

    user: str
    role: RoleName


@dataclass(frozen=True, slots=True)
class MemberPage:
    """Members by name; `after` continues the list, `None` at its end."""

    members: tuple[ProjectMember, ...]
    after: str | None = None


@dataclass(frozen=True, slots=True)
class TokenNew:
    """Creates a token of the caller.

    Attributes:
        label: what it is for.
        role: most that it may do; `operator` for all that the caller may do.
        project: the only project that it opens; `None` for all of the caller's.
        days: until it expires, 1 to 3650; `None` for never.
    """

    label: str
    role: ScopeName = "editor"
    project: str | None = None
    days: int | None = 90


@dataclass(frozen=True, slots=True)
class MachineTokenNew:
    """Creates a token of a project, for machines; it outlives whoever creates it.

    Attributes:
        label: what it is for.
        role: what it may do in the project.
        days: until it expires, 1 to 3650; `None` for never.
    """

    label: str
    role: RoleName = "worker"
    days: int | None = 90


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token; times in seconds since 1970.

    Attributes:
        id: to revoke it.
        label: what it is for.
        role: most that it may do.
        created: when it was created.
        project: the only project that it opens; `None` for all of its owner's.
        expires: when it ends; `None` for never.
        last_used: about when it was last used; `None` for never.
    """

    id: int
    label: str
    role: ScopeName
    created: float
    project: str | None = None
    expires: float | None = None
    last_used: float | None = None


@dataclass(frozen=True, slots=True)
class TokenPage:
    """Tokens by id; `after` continues the list, `None` at its end."""

    tokens: tuple[Token, ...]
    after: int | None = None


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token with its secret, which is shown this once."""

    token: Token
    secret: str = field(repr=False)
