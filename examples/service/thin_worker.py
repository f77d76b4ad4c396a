"""The same worker in Python, on the light client: results survive an outage of the service.

python thin_worker.py http://host:8080/PROJECT STUDY [TRIALS]
"""

import sys

import tunekit.client


def objective(trial: tunekit.client.ServiceTrial) -> float:
    """Return the loss of gradient descent on (w - 3)^2."""
    w = loss = 0.0
    for step in range(1, 9):
        w -= trial.params["lr"] * 2 * (w - 3)
        loss = (w - 3) ** 2
        trial.report(step, loss)
    return loss


url, name, *rest = sys.argv[1:]
with tunekit.client.connect(url) as client:
    n = client.study(name).run(objective, n_trials=int(rest[0]) if rest else None)
    print(f"{n} trials done")
