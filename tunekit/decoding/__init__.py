"""Tunes how a language model is decoded: what a right answer costs, under an accuracy floor.

```python
tuned = tk.decoding.study("math", questions=questions, model="llama3.2", storage="math.db")
tuned.run(30)
print(tuned.confirm())
```
"""

from tunekit.decoding.answering import Model
from tunekit.decoding.confirmation import Confirmation
from tunekit.decoding.correctness import is_correct
from tunekit.decoding.decoding_study import DecodingStudy
from tunekit.decoding.floor import Floor
from tunekit.decoding.measured import Given, Measured
from tunekit.decoding.opening import study
from tunekit.decoding.parameters import space
from tunekit.decoding.questions import Question

__all__ = [
    "Confirmation",
    "DecodingStudy",
    "Floor",
    "Given",
    "Measured",
    "Model",
    "Question",
    "is_correct",
    "space",
    "study",
]
