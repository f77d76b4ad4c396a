"""The light random stream gives NumPy's numbers, in whatever order they are asked for."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunekit.samplers.random_streams import in_numpy, light_stream, stream

WORDS = st.integers(0, 2**64 - 1)
ASKED = st.one_of(st.none(), st.integers(1, 2**32), st.integers(1, 9), st.just(2**32))
"""A fraction, or a whole number below this one."""


def asked(rng, high):
    return float(rng.random()) if high is None else int(rng.integers(high))


@given(seed=WORDS, number=WORDS, before=st.lists(ASKED, max_size=15), after=st.lists(ASKED))
def test_a_light_stream_gives_the_numbers_of_numpy_and_goes_on_as_numpy(
    seed, number, before, after
):
    light, numpy = light_stream(seed, number), stream(seed, number)
    assert [asked(light, high) for high in before] == [asked(numpy, high) for high in before]
    continued = in_numpy(light)
    assert [asked(continued, high) for high in after] == [asked(numpy, high) for high in after]
    assert continued.standard_normal() == numpy.standard_normal()


def test_the_stream_of_a_seed_is_fixed():
    light = light_stream(7, 3)
    drawn = [light.random(), light.integers(10), light.random()]
    assert drawn == [0.4821286018761155, 2, 0.05025403948627161]


def test_a_negative_seed_has_a_stream_too():
    assert light_stream(-1, 0).random() == float(stream(-1, 0).random())


def test_a_stream_of_numpy_stays_as_it_is():
    rng = np.random.default_rng(1)
    assert in_numpy(rng) is rng
