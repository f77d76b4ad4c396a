"""The rows of a history: one batch, and the same as one by one."""

import numpy as np

from tunekit.records import TrialRecord, TrialState
from tunekit.samplers.base import sample
from tunekit.samplers.bayesian.training_data import TrialRows
from tunekit.spaces import Categorical, Float, Int, Params, Space
from tunekit.spaces.encode import Encoder

SPACE = Space(
    model=Categorical({"a": Space(lr=Float(1e-5, 1.0, log=True)), "b": None}),
    units=Int(8, 4096, log=True),
    x=Float(0.0, 1.0),
)


class Counted(Encoder):
    """Notes how many points each call encodes."""

    def __init__(self, space):
        super().__init__(space)
        self.sizes = []

    def encode(self, points):
        points = list(points)
        self.sizes.append(len(points))
        return super().encode(points)


def test_a_history_is_encoded_in_one_batch_and_each_trial_once():
    rng = np.random.default_rng(3)
    trials = [TrialRecord(i, TrialState.COMPLETE, params=sample(SPACE, rng)) for i in range(300)]
    outside = TrialRecord(300, TrialState.COMPLETE, params=Params(x=2.0))
    unknown = TrialRecord(301, TrialState.RUNNING, params=None)
    encoder = Counted(SPACE)
    rows = TrialRows(encoder)
    first = rows.of([*trials[:200], outside, unknown])
    again = rows.of([*trials, outside])
    assert first[200:] == [None, None]
    assert again[300] is None
    assert [n for n in encoder.sizes if n] == [200, 100]
    for trial, row in zip(trials, again, strict=False):
        alone = Encoder(SPACE).encode([trial.params])[0]
        np.testing.assert_array_equal(row, alone)
