"""Search spaces: a frozen tree of parameters, one traversal over it, one encoding of it."""

from tunekit.spaces.constant import Constant
from tunekit.spaces.domains import Domain, Float, Int, Scalar
from tunekit.spaces.parameters import Condition, Parameter
from tunekit.spaces.point import Params
from tunekit.spaces.tree import Categorical, Repeat, Space, When
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
