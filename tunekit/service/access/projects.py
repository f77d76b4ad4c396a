"""Stores projects and the roles of their members."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from tunekit.errors import InvalidArgument, NameTaken, UnknownAccount, UnknownProject
from tunekit.service.access.database import AccessDatabase
from tunekit.service.access.grants import DEFAULT_PROJECT
from tunekit.service.access.names import check_project_name
from tunekit.service.access.users import id_of
from tunekit.storages.http.account_messages import ProjectMember, RoleName
from tunekit.storages.sql.access_tables import members, projects, tokens, users
from tunekit.storages.sql.job_tables import jobs
from tunekit.storages.sql.oversight_tables import quotas, share_links
from tunekit.storages.sql.schema import clock, studies


class Projects:
    """Creates, finds and deletes projects, and gives roles in them; blocks."""

    def __init__(self, database: AccessDatabase) -> None:
        self._db = database

    def adopt(self) -> None:
        """Store the project `default`, and those of studies from before there were accounts."""

        def work(c: Connection) -> None:
            known = set(c.execute(select(projects.c.name)).scalars())
            named = {
                n.partition("/")[0]
                for n in c.execute(select(studies.c.name)).scalars()
                if "/" in n
            }
            for name in sorted({DEFAULT_PROJECT, *named} - known - {""}):
                c.execute(insert(projects).values(name=name, created=clock()))

        try:
            self._db.write(work)
        except IntegrityError:  # another replica did
            pass

    def create(self, name: str, *, admin: int | None) -> None:
        """Create a project.

        Args:
            name: of 1 to 64 characters.
            admin: id of the user who becomes its admin.

        Raises:
            InvalidArgument: the name cannot be one.
            NameTaken: there is a project of this name.
        """
        check_project_name(name)

        def work(c: Connection) -> None:
            made = insert(projects).values(name=name, created=clock()).returning(projects.c.id)
            project_id = c.execute(made).scalar_one()
            if admin is not None:
                row = {"project_id": project_id, "user_id": admin, "role": "admin"}
                c.execute(insert(members).values(row))

        try:
            self._db.write(work)
        except IntegrityError:
            raise NameTaken(f"project {name!r}: the name is taken; choose another.") from None

    def delete(self, name: str) -> None:
        """Delete a project that has no studies, with its roles and tokens.

        Raises:
            InvalidArgument: it has studies, or is the default project.
        """
        if name == DEFAULT_PROJECT:
            raise InvalidArgument(f"project {name!r} always exists; delete its studies instead.")

        def work(c: Connection) -> None:
            project_id = project_id_of(c, name)
            inside = studies.c.name.startswith(f"{name}/", autoescape=True)
            left = c.execute(select(studies.c.name).where(inside).limit(1)).scalar()
            if left is not None:
                raise InvalidArgument(
                    f"project {name!r} still has studies, such as "
                    f"{left.removeprefix(f'{name}/')!r}; delete them first."
                )
            for table in (members, tokens):
                c.execute(delete(table).where(table.c.project_id == project_id))
            for table in (quotas, share_links, jobs):  # a new project of this name is another one
                c.execute(delete(table).where(table.c.project == name))
            c.execute(delete(projects).where(projects.c.id == project_id))

        self._db.write(work)

    def members(self, project: str, after: str, limit: int) -> list[ProjectMember]:
        """Return the members of a project by name, after a name."""
        query = (
            select(users.c.name, members.c.role)
            .join_from(members, users, users.c.id == members.c.user_id)
            .join(projects, projects.c.id == members.c.project_id)
            .where(projects.c.name == project, users.c.name > after)
            .order_by(users.c.name)
            .limit(limit)
        )
        rows = self._db.read(lambda c: c.execute(query).all())
        return [ProjectMember(row.name, row.role) for row in rows]

    def set_role(self, project: str, user: str, role: RoleName) -> None:
        """Give a user a role in a project, instead of the one they have.

        Raises:
            UnknownAccount: there is no such user.
        """

        def work(c: Connection) -> None:
            key = _member(c, project, user)
            if not c.execute(update(members).where(*_is(key)).values(role=role)).rowcount:
                c.execute(insert(members).values(**key, role=role))

        try:
            self._db.write(work)
        except IntegrityError:  # given at the same time by somebody else
            self._db.write(work)

    def remove(self, project: str, user: str) -> None:
        """Take a user's role in a project.

        Raises:
            UnknownAccount: they have none.
        """

        def work(c: Connection) -> None:
            key = _member(c, project, user)
            if not c.execute(delete(members).where(*_is(key))).rowcount:
                raise UnknownAccount(f"user {user[:64]!r} is not a member of project {project!r}.")
            # Their tokens for this project would come back to life with a later role.
            c.execute(
                update(tokens)
                .where(tokens.c.user_id == key["user_id"])
                .where(tokens.c.project_id == key["project_id"], tokens.c.revoked.is_(None))
                .values(revoked=clock())
            )

        self._db.write(work)


def project_id_of(c: Connection, name: str) -> int:
    """Return the id of a project, or raise `UnknownProject`."""
    text = name if name.isprintable() else ""
    found = c.execute(select(projects.c.id).where(projects.c.name == text)).scalar()
    if found is None:
        raise unknown_project(name)
    return int(found)


def unknown_project(name: str) -> UnknownProject:
    """Return the error for a project that does not exist or is closed to the caller."""
    return UnknownProject(
        f"no project {name[:64]!r} among yours; `tunekit project ls` lists them."
    )


def _member(c: Connection, project: str, user: str) -> dict[str, int]:
    return {"project_id": project_id_of(c, project), "user_id": id_of(c, user)}


def _is(key: dict[str, int]) -> tuple[Any, Any]:
    return members.c.project_id == key["project_id"], members.c.user_id == key["user_id"]
