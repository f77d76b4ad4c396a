"""Define-by-run: programs that ask for their parameters while they run.

The same `Picker` that answers a declared space answers a program, through a `Chooser`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from tunekit.checks import is_whole, shown
from tunekit.errors import InvalidArgument, InvalidSpace
from tunekit.spaces.discover import Discovery, is_switch
from tunekit.spaces.domains import Domain, Float, Int, Scalar, typed
from tunekit.spaces.parameters import Parameter
from tunekit.spaces.point import Params
from tunekit.spaces.serialize import domain_to_dict
from tunekit.spaces.tree import Categorical, Space
from tunekit.spaces.walk import Picker
from tunekit.spaces.words import checked_name, checked_sequence

MAX_ASKED = 2_000
NEAR = 4
"""Number of questions, after a changed one, to vary together with it."""


class Chooser:
    """Answers a program's questions, consistently per name, and records them.

    Attributes:
        params: name -> value, in the order of asking.
        domains: name -> domain in its plain form, in the order of asking.
    """

    def __init__(self, picker: Picker) -> None:
        self.params = Params()
        self.domains: dict[str, dict[str, Any]] = {}
        self.parameters: dict[str, Parameter] = {}
        self._picker = picker
        self._repeats = 0

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return a real number in `[low, high]`.

        Raises:
            InvalidSpace: the range contradicts itself, or the name was asked otherwise before.
        """
        return self._answer(name, Float(low, high, step=step, log=log))  # type: ignore[return-value]

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return an integer in `[low, high]`, both inclusive.

        Raises:
            InvalidSpace: the range contradicts itself, or the name was asked otherwise before.
        """
        is_unit = isinstance(step, Integral) and not isinstance(step, bool) and step == 1
        domain = Int(low, high, step=None if is_unit else step, log=log)
        return self._answer(name, domain)  # type: ignore[return-value]

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return one of the choices (strings, numbers, bools or None).

        Raises:
            InvalidSpace: a choice is invalid, the name was asked differently before, or the
                choices are a text, or a set, whose order differs between processes.
        """
        return self._answer(name, Categorical(checked_sequence(choices)))

    def _answer(self, name: str, domain: Domain) -> Scalar:
        known = self.parameters.get(name) if isinstance(name, str) else None
        if known is None:
            return self._decide(Parameter(checked_name(name), domain))
        if known.domain != domain:
            raise InvalidSpace(
                f'the parameter "{name}" was asked as {known.domain!r} before and as {domain!r} '
                "now, expected the same range; use one range per name."
            )
        self._repeats += 1
        if self._repeats > 100 * MAX_ASKED:
            raise _endless(f'it asks for "{name}" again and again')
        return self.params[name]

    def _decide(self, parameter: Parameter) -> Scalar:
        path = parameter.path
        if len(self.parameters) >= MAX_ASKED:
            raise _endless(f"it has asked for {MAX_ASKED} different names")
        value = parameter.domain.validate(self._picker(parameter, self.params), path)
        self.parameters[path] = parameter
        dict.__setitem__(self.params, path, value)  # a new name, short for no other
        self.domains[path] = domain_to_dict(parameter.domain)
        return value


def _endless(what: str) -> InvalidSpace:
    return InvalidSpace(f"the program does not end: {what}; bound its loops.")


def space_from_program(program: Callable[[Chooser], object], *, max_paths: int = 1000) -> Space:
    """Return the space of a program, found by running it along its branches.

    The program may only call `suggest_...` and branch on the answers. It runs once per
    combination of its choices, bools and small ints. If there are more than `max_paths`, it runs
    once per value of each parameter and up to `max_paths` times more; a parameter that depends
    on two others at once then becomes unconditional.

    Raises:
        InvalidSpace: more than `max_paths` distinct sequences of questions, or no end.
    """
    if not is_whole(max_paths) or max_paths < 1:
        raise InvalidArgument(f"max_paths={shown(max_paths)}, expected a whole number above 0.")
    runs = _exhaustive(program, max_paths)
    if runs is None:
        runs = _guided(program, max_paths)
    discovery = Discovery()
    for run in runs:
        discovery.observe(run.params, run.domains)
    return discovery.space


def _run(program: Callable[[Chooser], object], script: Mapping[str, Scalar]) -> Chooser:
    def picker(p: Parameter, chosen: Mapping[str, Scalar]) -> Scalar:
        return script[p.path] if p.path in script else _values(p.domain)[0]

    chooser = Chooser(picker)
    program(chooser)
    return chooser


def _values(domain: Domain) -> list[Scalar]:
    """Return the values to try; one for a domain without branches."""
    if isinstance(domain, Categorical):
        return list(domain.choices)
    if isinstance(domain, Int) and is_switch(domain):
        lo, hi, step = int(domain.lo), int(domain.hi), int(domain.step or 1)
        return list(range(lo, hi + 1, step))
    return [domain.default_value()]


def _exhaustive(program: Callable[[Chooser], object], max_paths: int) -> list[Chooser] | None:
    """Return one run per combination of decisions, `None` if there are too many."""
    runs: list[Chooser] = []
    scripts: deque[dict[str, Scalar]] = deque([{}])  # breadth first: too many are seen at once
    while scripts:
        if len(runs) + len(scripts) > max_paths:
            return None
        script = scripts.popleft()
        run = _run(program, script)
        runs.append(run)
        # The run took the first value at each decision after its script; branch there.
        before = dict(script)
        for path, p in run.parameters.items():
            if path not in script:
                scripts.extend({**before, path: v} for v in _values(p.domain)[1:])
                before[path] = run.params[path]
    return runs


@dataclass(frozen=True, slots=True)
class _Change:
    """One answer of a run to change."""

    run: Chooser
    path: str
    value: Scalar


def _guided(program: Callable[[Chooser], object], max_paths: int) -> list[Chooser]:
    """Return runs that take each value of each parameter, each a single change to another run.

    A value may activate a parameter only under one value of an earlier parameter. The questions
    directly after a changed one are therefore varied again, nearest first, in up to `max_paths`
    runs.
    """
    runs: list[Chooser] = []
    seen: set[tuple[str, ...]] = set()
    tried: set[tuple[str, tuple[tuple[str, Scalar], ...]]] = set()
    changes: deque[_Change] = deque()
    pairs: list[deque[_Change]] = [deque() for _ in range(NEAR)]  # by distance

    def take(run: Chooser) -> None:
        runs.append(run)
        seen.add(tuple(run.params))
        if len(seen) > max_paths:
            raise InvalidSpace(
                f"the program has more than {max_paths} distinct sequences of questions; raise "
                "max_paths, or leave the study without a space and let the trials discover it."
            )
        for change in _changes(run, run.parameters):
            tried.add((change.path, typed(run.params[change.path])))
        for change in _changes(run, run.parameters):
            key = (change.path, typed(change.value))
            if key not in tried:
                tried.add(key)
                changes.append(change)

    take(_run(program, {}))
    n_pairs = 0
    while changes or (n_pairs < max_paths and any(pairs)):
        is_first = bool(changes)
        n_pairs += not is_first
        change = changes.popleft() if is_first else next(q for q in pairs if q).popleft()
        run = _run(program, {**change.run.params, change.path: change.value})
        take(run)
        if is_first:
            asked = list(run.parameters)
            after = asked[asked.index(change.path) + 1 :][:NEAR]
            for queue, path in zip(pairs, after, strict=False):
                queue.extend(_changes(run, [path]))
    return runs


def _changes(run: Chooser, paths: Iterable[str]) -> Iterator[_Change]:
    """Yield all single changes of a run's answers to the given questions."""
    for path in paths:
        for value in _values(run.parameters[path].domain):
            if value != run.params[path]:
                yield _Change(run, path, value)
