"""Two objectives with two kinds of constraints, on the params and on measured metrics."""

import tunekit as tk

space = tk.Space(
    {
        "width": tk.Int(8, 512, log=True),
        "depth": tk.Int(1, 12),
        "quantise": tk.Categorical([False, True]),
    },
    constraints=[
        "width * depth <= 2048"
    ],  # checked before a trial runs: violations are never proposed
)


def objective(trial: tk.Trial) -> dict[str, float]:
    p = trial.params
    size = p["width"] * p["depth"] / (4 if p["quantise"] else 1)
    return {
        "error": 1 / (1 + p["width"] * p["depth"] ** 0.5) ** 0.5 + 0.02 * p["quantise"],
        "memory_mib": size / 10,
        "latency_ms": 0.4 * p["depth"] + size / 200,
    }


study = tk.study(
    space=space,
    objectives={"error": "minimize", "memory_mib": "minimize"},
    constraints=["latency_ms <= 8"],  # checked after a trial: violations never become the best
    seed=1,
)
study.optimize(objective, n_trials=60)
for trial in study.best_trials:
    m = trial.metrics
    print(f"error {m['error']:.3f}  {m['memory_mib']:6.1f} MiB  {m['latency_ms']:.1f} ms")
