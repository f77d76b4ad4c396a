"""Laws of learning rate, batch size, weight decay and loss, from small runs to large ones.

```python
law = tk.scaling.fit(study)
print(law.predict(N=7e9, D=1.4e12))
```
"""

from tunekit.scaling.fitting import fit
from tunekit.scaling.law import Law, load
from tunekit.scaling.plan import Plan
from tunekit.scaling.roles import Roles
from tunekit.scaling.validation import Validation
from tunekit_surrogates.scaling import Caution, Interval, Prediction, Priors

__all__ = [
    "Caution",
    "Interval",
    "Law",
    "Plan",
    "Prediction",
    "Priors",
    "Roles",
    "Validation",
    "fit",
    "load",
]
