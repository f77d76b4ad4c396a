"""Search spaces: frozen trees of parameters, with one traversal and one encoding."""

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
