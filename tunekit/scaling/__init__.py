"""Laws of learning rate, batch size, weight decay and loss, from small runs to large ones.

```python
law = tk.scaling.fit(study)
print(law.predict(N=7e9, D=1.4e12))
```

A wind tunnel tunes at a small size and carries the best point up, rung by rung.
"""

from tunekit.scaling.branching import (
    DecayPoint,
    decay_branches,
    decay_points,
    schedule_of,
    stable_run,
)
from tunekit.scaling.drift import Drift
from tunekit.scaling.fitting import fit
from tunekit.scaling.law import Law, load
from tunekit.scaling.plan import Plan
from tunekit.scaling.published import published
from tunekit.scaling.roles import Roles
from tunekit.scaling.stability import Stability, StabilityReport, stability_report
from tunekit.scaling.tunnel import TunnelPrediction, WindTunnel
from tunekit.scaling.tunnel_opening import wind_tunnel
from tunekit.scaling.validation import Validation
from tunekit_surrogates.scaling import Caution, Interval, Prediction, Priors

__all__ = [
    "Caution",
    "DecayPoint",
    "Drift",
    "Interval",
    "Law",
    "Plan",
    "Prediction",
    "Priors",
    "Roles",
    "Stability",
    "StabilityReport",
    "TunnelPrediction",
    "Validation",
    "WindTunnel",
    "decay_branches",
    "decay_points",
    "fit",
    "load",
    "published",
    "schedule_of",
    "stability_report",
    "stable_run",
    "wind_tunnel",
]
