"""Every door that takes a trial or its number takes the same ones, and no number overflows."""

import numpy as np
import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument, UnknownTrial

SPACE = tk.Space(x=tk.Float(0, 1))


@pytest.mark.parametrize("storage", [None, "sqlite"])
def test_a_number_that_no_trial_has_is_a_sentence_or_no_reports(storage, tmp_path):
    study = tk.study("s", space=SPACE, storage=storage and tmp_path / "s.db", sampler="random")
    trial = study.ask()
    trial.report(1.0, 1)
    assert list(study.reports([trial, np.int64(0), 2**63, -(2**70)])) == [0]
    assert list(study.reports(0)) == [0] and study.reports(5) == {}
    for bad in ("0", [0.5], [True], [None]):
        with pytest.raises(InvalidArgument, match="trial="):
            study.reports(bad)
    for number in (2**63, -(2**70)):
        for door in (study.cancel_trial, study.resume_trial, lambda n: study.tell(n, 1.0)):
            with pytest.raises(UnknownTrial):
                door(number)
    assert study.cancel_trial(np.int64(0))
