"""`tunekit studies pairs` writes what a language model can be fine-tuned on."""

from __future__ import annotations

import json
from pathlib import Path

import tunekit as tk


def test_the_pairs_of_studies_with_a_profile_go_to_stdout_or_a_file(cli):
    for name in ("reads", "plain"):
        study = tk.study(
            name, space={"x": tk.Float(0, 1)}, storage="sqlite:///tunekit.db", sampler="random"
        )
        study.optimize(lambda trial: trial.params["x"], n_trials=3, progress=False)
        if name == "reads":
            study.set_user_attr("profile", {"read_ratio": 0.9})
    shown = cli("studies", "pairs")
    (line,) = shown.stdout.splitlines()
    assert [m["role"] for m in json.loads(line)["messages"]] == ["system", "user", "assistant"]
    assert "1 pair." in shown.stderr
    assert cli("studies", "pairs", "-o", "set.jsonl", "reads").exit_code == 0
    assert Path("set.jsonl").read_text() == shown.stdout
    refused = cli("studies", "pairs", "plain")
    assert refused.exit_code == 2 and "'plain' has no profile" in refused.stderr
