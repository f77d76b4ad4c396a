"""Writes the constraints of a knob catalogue for the knobs that are searched."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping

from tunekit.spaces.constraints import Constraint
from tunekit_integrations.dbms.catalogue import UNITS, Catalogue
from tunekit_integrations.dbms.records import InForce, Machine, Settings


def constraints_between(
    catalogue: Catalogue,
    in_force: Mapping[str, InForce],
    searched: Collection[str],
    *,
    machine: Machine,
    clients: int,
) -> list[str]:
    """Return the constraints on searched knobs; the others stand for their value in force.

    No knob is searched beyond the one that caps it, where it has no further effect.

    What is in force satisfies every one of them: it is the point that all else is compared with.

    Args:
        catalogue: whose constraints are meant.
        in_force: knobs of the server.
        searched: knobs that become parameters.
        machine: for `{ram}`, `{cpus}`, `{disk}`.
        clients: for `{clients}`.
    """
    out = []
    caps = [f"{k.name} <= {k.capped_by}" for k in catalogue.knobs.values() if k.capped_by]
    for text in [*catalogue.constraints, *caps]:
        rule = _Rule(catalogue, in_force, searched, _amounts(machine, clients))
        written = rule.write(text)
        if written is None or not rule.found:
            continue
        point = {name: in_force[name].value for name in rule.found}
        if not Constraint.parse(written, prefix="", paths=rule.found).holds(point):
            as_it_is = " and ".join(f"{name} == {value!r}" for name, value in point.items())
            written = f"({written}) or ({as_it_is})"
        out.append(written)
    return out


def broken_constraints(
    settings: Settings,
    catalogue: Catalogue,
    in_force: Mapping[str, InForce],
    *,
    machine: Machine,
    clients: int,
) -> list[str]:
    """Return the constraints, as the catalogue has them, that settings would newly break."""
    point = {name: settings.get(name, there.value) for name, there in in_force.items()}
    before = {name: there.value for name, there in in_force.items()}
    out = []
    for text in catalogue.constraints:
        rule = _Rule(catalogue, in_force, in_force, _amounts(machine, clients))
        written = rule.write(text)
        if written is None or not rule.found or not set(settings) & set(rule.found):
            continue
        made = Constraint.parse(written, prefix="", paths=rule.found)
        if not made.holds(point) and (
            made.holds(before) or any(point[n] != before[n] for n in rule.found)
        ):
            out.append(text)
    return out


def _amounts(machine: Machine, clients: int) -> dict[str, float]:
    return {
        "ram": machine.ram_bytes,
        "cpus": machine.cpus,
        "disk": machine.disk_bytes,
        "clients": clients,
    }


class _Rule(ast.NodeTransformer):
    """Rewrites one constraint to the units of knobs.

    Attributes:
        found: searched knobs that it names.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        in_force: Mapping[str, InForce],
        searched: Collection[str],
        amounts: Mapping[str, float],
    ) -> None:
        self._catalogue, self._in_force, self._searched = catalogue, in_force, searched
        self._amounts = amounts
        self._is_known = True
        self.found: list[str] = []

    def write(self, text: str) -> str | None:
        """Return it in terms of parameters, `None` where it names a knob the server lacks."""
        for name, value in self._amounts.items():
            text = text.replace("{" + name + "}", repr(value))
        tree = self.visit(ast.parse(text.strip(), mode="eval"))
        return ast.unparse(tree) if self._is_known else None

    def visit_Call(self, node: ast.Call) -> ast.Call:
        """Rewrite the arguments, not the function's name."""
        node.args = [self.visit(argument) for argument in node.args]
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Put a knob in bytes or seconds, or its value in force in its place."""
        if node.id not in self._in_force:
            self._is_known = False
            return node
        value = self._in_force[node.id].value
        factor = UNITS[self._catalogue.knobs[node.id].unit]
        if node.id not in self._searched:
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            return ast.Constant(value * factor if is_number else value)  # type: ignore[operator]
        if node.id not in self.found:
            self.found.append(node.id)
        if factor == 1:
            return node
        return ast.BinOp(node, ast.Mult(), ast.Constant(factor))
