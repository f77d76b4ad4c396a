"""Screen model shapes with a training-free proxy for the largest encoder that fits into 3 MB.

Size and cost follow from the shape, so each trial computes them for 32 candidates and runs only
the best. The size is a bound rather than a penalty, since megabytes and operations cannot be
added.
"""

import tunekit as tk

N_TOKENS, BYTES = 400, 4


def cost(params: dict[str, float]) -> dict[str, float]:
    """Return the size and operations of an encoder of this shape, without training."""
    vocabulary, hidden, ffn = params["vocabulary"], params["hidden"], params["ffn"]
    block = 4 * hidden * hidden + 2 * hidden * ffn + 9 * hidden + ffn
    n_weights = (vocabulary + N_TOKENS) * hidden + params["layers"] * block
    attention = 2 * N_TOKENS * N_TOKENS * hidden
    gflops = 2 * params["layers"] * (N_TOKENS * block + attention) / 1e9
    return {"score": -gflops, "size_mb": n_weights * BYTES / 1e6}  # more operations, more capacity


def error(trial: tk.Trial) -> float:
    """Stand for a distillation: larger is better, and each part needs a minimum size."""
    p = trial.params
    parts = {"vocabulary": 3000, "hidden": 96, "ffn": 256, "layers": 4}
    return 0.3 + sum(0.1 / (1 + p[name] / wanted) for name, wanted in parts.items())


study = tk.study(
    space=tk.load_space("model_shape"),
    objectives="error",
    sampler="evolution",
    sampler_options={"proxy": "__main__:cost", "candidates": 32, "bounds": ["size_mb <= 3"]},
    seed=1,
)
study.optimize(error, n_trials=60)
fitting = [t for t in study.trials if cost(t.params)["size_mb"] <= 3]
best = min(fitting, key=lambda t: t.metrics["error"])
print(f"{len(fitting)} of {len(study.trials)} trials fit into 3 MB")
size_mb = cost(best.params)["size_mb"]
print(f"error {best.metrics['error']:.3f}, {size_mb:.2f} MB: {dict(best.params)}")
