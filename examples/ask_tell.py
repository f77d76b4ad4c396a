"""Ask and tell: your own loop runs the trials; the study proposes points and stores results."""

import tunekit as tk

space = tk.Space(
    temperature_c=tk.Float(150, 250),
    minutes=tk.Int(5, 60),
    yeast=tk.Categorical(["fresh", "dry"]),
)
study = tk.study(space=space, objectives={"taste": "maximize"}, seed=1)
study.enqueue_trial({"temperature_c": 220, "minutes": 30})  # first try the recipe's values

for _ in range(20):
    trial = study.ask()
    p = trial.params
    # A person, a robot or another program would bake and score the bread here.
    taste = 10 - abs(p["temperature_c"] - 210) / 10 - abs(p["minutes"] - 35) / 5
    study.tell(trial, {"taste": taste + (p["yeast"] == "fresh")})

print(f"best of {len(study.trials)}: {study.best_value:.2f} with {study.best_params}")
