"""Creates, lists, revokes and checks links that show one study to whoever has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, update

from tunekit.errors import InvalidArgument, UnknownStudy
from tunekit.service.access.secret_texts import SHARE_LINK, digest_of, new_secret
from tunekit.storages.http.oversight_messages import NewShareLink, ShareLink, ShareSecret
from tunekit.storages.sql.access_tables import members, projects, users
from tunekit.storages.sql.database import Database
from tunekit.storages.sql.oversight_tables import share_links
from tunekit.storages.sql.schema import clock

MAX_DAYS = 90.0
MAX_LABEL = 200

_t = share_links.c
_SHOWN = (_t.id, _t.label, _t.author, _t.created, _t.expires, _t.revoked)


@dataclass(frozen=True, slots=True)
class Shared:
    """What a valid link shows, until it expires."""

    project: str
    study_id: int
    author: str
    expires: float


class ShareLinkBook:
    """The share links in the database of the studies."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, project: str, study_id: int, new: NewShareLink, *, author: str
    ) -> ShareSecret:
        """Create a link; only its digest is stored.

        Raises:
            InvalidArgument: it would last for too long, or its label is too long.
        """
        if not 0 < new.days <= MAX_DAYS:
            raise InvalidArgument(
                f"days: got {new.days:g}, expected more than 0 and at most {MAX_DAYS:g}."
            )
        if len(new.label) > MAX_LABEL:
            raise InvalidArgument(f"label: expected at most {MAX_LABEL} characters.")
        secret = new_secret(SHARE_LINK)
        row = {
            "digest": digest_of(secret),
            "project": project,
            "study_id": study_id,
            "label": new.label,
            "author": author,
        }
        made = insert(share_links).values(
            **row, created=clock(), expires=clock() + new.days * 86400.0
        )
        found = self._database.write_once(lambda c: c.execute(made.returning(*_SHOWN)).one())
        return ShareSecret(_link(found), secret)

    def links(self, project: str, study_id: int) -> list[ShareLink]:
        """Return the links of a study, the newest first."""
        query = select(*_SHOWN).where(_t.project == project, _t.study_id == study_id)
        rows = self._database.read(lambda c: c.execute(query.order_by(_t.id.desc())).all())
        return [_link(row) for row in rows]

    def revoke(self, project: str, study_id: int, link_id: int) -> None:
        """End a link at once; one that has ended stays as it is.

        Raises:
            UnknownStudy: the study has no such link.
        """
        this = (_t.project == project) & (_t.study_id == study_id) & (_t.id == link_id)
        query = select(_t.id).where(this)
        if self._database.read(lambda c: c.execute(query).first()) is None:
            raise UnknownStudy(f"study {study_id} has no share link {link_id}.")
        ended = update(share_links).where(this, _t.revoked.is_(None)).values(revoked=clock())
        self._database.write(lambda c: c.execute(ended))

    def people(self, shared: Shared) -> set[str]:
        """Return the names of the members of a link's project, and of who made it."""
        query = (
            select(users.c.name)
            .join(members, members.c.user_id == users.c.id)
            .join(projects, projects.c.id == members.c.project_id)
            .where(projects.c.name == shared.project)
        )
        found = self._database.read(lambda c: c.execute(query).scalars().all())
        return {shared.author, *found}

    def shared(self, secret: str) -> Shared:
        """Return what a link shows.

        Raises:
            UnknownStudy: it is unknown, has expired or was revoked, which looks the same.
        """
        query = select(_t.project, _t.study_id, _t.author, _t.expires).where(
            _t.digest == digest_of(secret), _t.revoked.is_(None), _t.expires > clock()
        )
        row = self._database.read(lambda c: c.execute(query).first())
        if row is None:
            raise unknown_link()
        return Shared(*row)


def unknown_link() -> UnknownStudy:
    """Return the error for a link that shows nothing (any more)."""
    return UnknownStudy(
        "the share link shows nothing: it is wrong, has expired or was revoked, or its study was "
        "deleted; ask who sent it for a new one."
    )


def _link(row: Any) -> ShareLink:
    return ShareLink(**row._mapping)
