"""Builds random search spaces with Hypothesis, for tests of samplers and storages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tunekit.errors import InvalidSpace, MissingExtra
from tunekit.spaces import (
    Categorical,
    Constant,
    Float,
    Int,
    Parameter,
    Params,
    Repeat,
    Space,
    When,
    walk,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hypothesis.strategies import SearchStrategy

    from tunekit.spaces import Scalar


def spaces(max_depth: int = 2) -> SearchStrategy[Space]:
    """Return a strategy for spaces with all kinds of nodes, at most `max_depth` levels deep."""
    return _st().composite(_space)(max_depth)  # type: ignore[no-any-return]


def domains() -> SearchStrategy[Float | Int | Categorical]:
    """Return a strategy for leaf domains, including extreme bounds."""
    st = _st()
    return st.one_of(  # type: ignore[no-any-return]
        st.composite(_float)(), st.composite(_int)(), st.composite(_categorical)()
    )


def random_point(space: Space, seed: int) -> Params:
    """Return a point uniform in each unit interval, ignoring the constraints of the space."""
    rng = np.random.default_rng(seed)

    def picker(p: Parameter, chosen: Mapping[str, Scalar]) -> Scalar:
        return p.domain.from_unit(rng.random())

    return walk(space, picker)


def _st() -> Any:
    try:
        import hypothesis.strategies as st
    except ImportError:
        raise MissingExtra("dev", "tunekit.testing.spaces") from None
    return st


def _float(draw: Callable[[Any], Any]) -> Float:
    st = _st()
    special = draw(st.sampled_from([(), (-1.0,), (0.0, 7.5)]))
    scale = draw(st.sampled_from(["linear", "log", "grid"]))
    if scale == "log":
        lo, hi = sorted(10.0 ** draw(st.floats(-300, 299)) for _ in range(2))
        return Float(lo, hi, log=True, special=special)
    if scale == "grid":
        lo, step = draw(st.floats(-100, 100)), draw(st.sampled_from([0.1, 0.25, 1.0, 3.0]))
        return Float(lo, lo + step * draw(st.integers(0, 50)), step=step, special=special)
    bounds = st.floats(-10, 10) | st.floats(-1e300, 1e300)
    lo, hi = sorted(draw(bounds) for _ in range(2))
    return Float(lo, hi, special=special)


def _int(draw: Callable[[Any], Any]) -> Int:
    st = _st()
    special = draw(st.sampled_from([(), (-1,), (0, 5)]))
    if draw(st.booleans()):
        lo, hi = sorted(draw(st.integers(1, 2**40) | st.integers(1, 20)) for _ in range(2))
        return Int(lo, hi, log=True, special=special)
    lo = draw(st.integers(-10, 10) | st.integers(-(2**80), 2**80))
    step = draw(st.sampled_from([None, 2, 7]))
    return Int(
        lo, lo + draw(st.integers(0, 30) | st.integers(0, 2**47)), step=step, special=special
    )


_CHOICES = ("a", "b c", "ü", "", 2, -3, 0.5, 1e-7, True, False, None, "on", "1")


def _categorical(draw: Callable[[Any], Any]) -> Categorical:
    st = _st()
    choices = draw(st.lists(st.sampled_from(_CHOICES), min_size=1, max_size=5, unique=True))
    return Categorical(
        choices, ordered=draw(st.booleans()), default=draw(st.sampled_from(choices))
    )


def _node(draw: Callable[[Any], Any], depth: int) -> Any:
    st = _st()
    kinds = ["leaf", "leaf", "constant"] + (["branch", "repeat"] if depth > 0 else [])
    kind = draw(st.sampled_from(kinds))
    if kind == "leaf":
        return draw(domains())
    if kind == "constant":
        return Constant(draw(st.sampled_from(_CHOICES)))
    if kind == "repeat":
        lo = draw(st.integers(0, 2))
        return Repeat(lo, lo + draw(st.integers(0, 2)), _space(draw, depth - 1))
    choice = draw(st.sampled_from(["x", ("y", "z"), True, 3]))
    return Categorical({choice: _space(draw, depth - 1), "w": None})


def _space(draw: Callable[[Any], Any], depth: int) -> Space:
    st = _st()
    names = draw(st.lists(st.sampled_from("abcd"), max_size=2, unique=True))
    nodes = {name: _node(draw, depth) for name in names}
    when: list[When] = []
    if depth > 0:
        nodes["switch"] = draw(
            st.sampled_from([Categorical([True, False]), Int(0, 3), Categorical(["p", "q"])])
        )
        values = [nodes["switch"].default_value()]
        child = {f"child_{n}": _node(draw, depth - 1) for n in names[:1]}
        when = [When("switch", values, Space(child))]
    try:
        return Space(nodes, when=when, constraints=draw(st.sampled_from([(), "a > 0", "b != 2"])))
    except InvalidSpace:  # the constrained parameter does not exist
        return Space(nodes, when=when)
