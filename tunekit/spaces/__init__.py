"""Search spaces: a frozen tree of parameters, one traversal over it, one encoding of it."""

from tunekit.spaces.domains import Constant, Domain, Float, Int, Scalar
from tunekit.spaces.tree import Categorical, Condition, Parameter, Params, Repeat, Space, When
from tunekit.spaces.walk import Picker, walk

__all__ = [
    "Categorical",
    "Condition",
    "Constant",
    "Domain",
    "Float",
    "Int",
    "Parameter",
    "Params",
    "Picker",
    "Repeat",
    "Scalar",
    "Space",
    "When",
    "walk",
]
