"""Infers a space from the parameters that trials of a define-by-run program ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from tunekit.errors import InvalidSpace
from tunekit.spaces.constant import Constant
from tunekit.spaces.domains import Domain, Float, Int, Scalar, typed
from tunekit.spaces.serialize import domain_from_dict
from tunekit.spaces.tree import Categorical, Space, When

MAX_SWITCH = 32
"""Maximum number of values of an int that may condition other parameters."""

_Leaf: TypeAlias = Float | Int | Categorical | Constant


@dataclass(slots=True)
class _Evidence:
    """Observations of one parameter together with each switch.

    Attributes:
        present: switch -> its values in trials that asked for the parameter.
        absent: switch -> its values in complete trials that did not.
        apart: switches that some trial did not ask for although it asked for the parameter.
        was_absent: whether some complete trial did not ask for it.
    """

    present: dict[str, set[Scalar]] = field(default_factory=dict)
    absent: dict[str, set[Scalar]] = field(default_factory=dict)
    apart: set[str] = field(default_factory=set)
    was_absent: bool = False


class Discovery:
    """Learns a space trial by trial.

    Bounds and choices are the union of all that was asked. A parameter is conditional on a
    switch (a categorical or a small int asked before it) that was always asked when it was,
    that had another value in some trial without it, and whose values tell apart the trials with
    and without it; of several, on the shallowest. One that comes and goes together with the
    parameter explains nothing: both hang on what stands above them. Asked always, or not
    explained by one switch: unconditional. The answer depends only on what was observed, in
    that order.
    """

    def __init__(self) -> None:
        self._domains: dict[str, _Leaf] = {}
        self._evidence: dict[str, _Evidence] = {}
        self._seen: dict[str, set[Scalar]] = {}  # values of switches in whole trials
        self._n_whole = 0
        self._space: Space | None = None

    def new_domains(self, domains: Mapping[str, Any]) -> dict[str, Any]:
        """Return the unknown part of path -> plain domain."""
        known = self._domains
        out = {}
        for path, data in domains.items():
            domain = domain_from_dict(data)
            if path not in known or union(known[path], domain, path) != known[path]:
                out[path] = data
        return out

    def observe(
        self,
        params: Mapping[str, Scalar],
        domains: Mapping[str, Any],
        *,
        is_whole: bool = True,
    ) -> None:
        """Record the parameters that one trial asked for, in order.

        Args:
            params: path -> value.
            domains: path -> domain in its plain form, at least for paths not known yet.
            is_whole: whether the program ran to its end; otherwise missing parameters carry no
                information.

        Raises:
            InvalidSpace: a path was asked as another kind of parameter before; nothing of the
                trial is taken in.
        """
        merged: dict[str, _Leaf] = {}
        for path, data in domains.items():
            domain = domain_from_dict(data)
            old = self._domains.get(path)
            merged[path] = domain if old is None else union(old, domain, path)
        asked = {p: v for p, v in params.items() if p in self._domains or p in merged}
        for path in asked:
            if path in merged and merged[path] != self._domains.get(path):
                self._space = None
            if path not in self._domains:
                self._add(path)
            if path in merged:
                self._domains[path] = merged[path]
        self._compare(asked, is_whole=is_whole)

    @property
    def space(self) -> Space:
        """Return the discovered part of the space."""
        if self._space is None:
            self._space = self._build()
        return self._space

    def _add(self, path: str) -> None:
        for evidence in self._evidence.values():
            if evidence.present or evidence.was_absent or self._n_whole:
                evidence.apart.add(path)  # was asked before this one was known
        absent = {switch: set(values) for switch, values in self._seen.items()}
        self._evidence[path] = _Evidence(absent=absent, was_absent=self._n_whole > 0)

    def _compare(self, asked: Mapping[str, Scalar], *, is_whole: bool) -> None:
        switches = {p: v for p, v in asked.items() if is_switch(self._domains[p])}
        apart = {p for p in self._domains if p not in switches}
        for path, evidence in self._evidence.items():
            if path in asked:
                self._note(evidence.present, switches)
                if not apart <= evidence.apart:
                    evidence.apart |= apart
                    self._space = None
            elif is_whole:
                self._note(evidence.absent, switches)
                if not evidence.was_absent:
                    evidence.was_absent = True
                    self._space = None
        if is_whole:
            self._note(self._seen, switches)
            self._n_whole += 1

    def _note(self, table: dict[str, set[Scalar]], values: Mapping[str, Scalar]) -> None:
        for path, value in values.items():
            known = table.setdefault(path, set())
            if value not in known:
                known.add(value)
                self._space = None

    def _build(self) -> Space:
        order = list(self._domains)
        depth: dict[str, int] = {}
        free: dict[str, _Leaf] = {}
        groups: dict[tuple[str, tuple[Scalar, ...]], dict[str, _Leaf]] = {}
        for i, path in enumerate(order):
            condition = self._condition(path, order[:i], depth)
            if condition is None:
                depth[path] = 0
                free[path] = self._domains[path]
            else:
                depth[path] = depth[condition[0]] + 1
                groups.setdefault(condition, {})[path] = self._domains[path]
        when = [When(parent, values, Space(nodes)) for (parent, values), nodes in groups.items()]
        return Space(free, when=when)

    def _condition(
        self, path: str, before: list[str], depth: Mapping[str, int]
    ) -> tuple[str, tuple[Scalar, ...]] | None:
        evidence = self._evidence[path]
        if not evidence.was_absent:
            return None
        best: str | None = None
        for switch in before:
            present = evidence.present.get(switch, set())
            absent = evidence.absent.get(switch, set())
            tells_apart = present and absent and not present & absent
            if not tells_apart or switch in evidence.apart:
                continue
            # At equal depth the switch that was asked last is the nearest one.
            if best is None or depth[switch] <= depth[best]:
                best = switch
        if best is None:
            return None
        values = _opened(self._domains[best], evidence.present[best], evidence.absent[best])
        return best, values


def is_switch(domain: Domain) -> bool:
    """Return whether a parameter has few enough values for others to depend on them."""
    return isinstance(domain, Categorical) or (
        isinstance(domain, Int) and domain.size <= MAX_SWITCH
    )


def _opened(domain: Domain, present: set[Scalar], absent: set[Scalar]) -> tuple[Scalar, ...]:
    """Return the values that open a parameter, extrapolated for an int.

    A count of layers that was seen to open a third layer at 3, and not at 1, opens it at 4 too.
    """
    if isinstance(domain, Categorical):
        return tuple(c for c in domain.choices if c in present)
    counts = range(int(domain.lo), int(domain.hi) + 1, int(domain.step or 1))  # type: ignore[attr-defined]
    closed = sorted(v for v in absent if isinstance(v, int))
    opened = sorted(v for v in present if isinstance(v, int))
    return tuple(
        c
        for c in counts
        if c in present
        or (c > opened[0] and not any(opened[0] < a for a in closed))
        or (c < opened[-1] and not any(a < opened[-1] for a in closed))
    )


def union(a: _Leaf, b: _Leaf, path: str) -> _Leaf:
    """Return the smallest domain that contains both.

    Raises:
        InvalidSpace: they are of different kinds.
    """
    if a == b:
        return a
    if isinstance(a, Categorical) and isinstance(b, Categorical):
        known = set(typed(*a.choices))
        new = [c for c, key in zip(b.choices, typed(*b.choices), strict=True) if key not in known]
        return Categorical([*a.choices, *new], ordered=a.ordered and b.ordered) if new else a
    if isinstance(a, Float | Int) and type(a) is type(b):
        return _union_of_ranges(a, b)
    raise InvalidSpace(
        f'the parameter "{path}" was asked as {a!r} by one trial and as {b!r} by another; use '
        "one kind per name."
    )


def _union_of_ranges(a: Float | Int, b: Float | Int) -> Float | Int:
    lo, hi = min(a.lo, b.lo), max(a.hi, b.hi)
    step = a.step if a.step == b.step and (b.lo - a.lo) % (a.step or 1) == 0 else None
    special = (*a.special, *(v for v in b.special if v not in a.special))
    return replace(
        a, lo=lo, hi=hi, step=step, log=a.log and b.log, special=special, default=a.default
    )
