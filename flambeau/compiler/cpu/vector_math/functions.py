"""The names of the vector functions, and where their bodies are, which are imported when one is written."""

from __future__ import annotations

from ...._records import Record


class Function(Record):
    """One vector function: the module with its body, which has its name, and the number of its operands.

    ``wide``: its float32 form is computed in float64.
    ``outlined``: it has branches, so it is emitted once as an internal function and called.
    """

    home: str
    arity: int = 1
    wide: bool = False
    outlined: bool = False


FUNCTIONS: dict[str, Function] = {
    "exp": Function("exponential"),
    "exp2": Function("exponential"),
    "expm1": Function("exponential"),
    "sigmoid": Function("exponential"),
    "tanh": Function("exponential"),
    "sinh": Function("exponential"),
    "cosh": Function("exponential"),
    "log": Function("logarithm"),
    "log2": Function("logarithm"),
    "log10": Function("logarithm"),
    "log1p": Function("logarithm"),
    "sin": Function("trigonometric", outlined=True),
    "cos": Function("trigonometric", outlined=True),
    "tan": Function("trigonometric", outlined=True),
    "asin": Function("inverse_trigonometric"),
    "acos": Function("inverse_trigonometric"),
    "atan": Function("inverse_trigonometric"),
    "atan2": Function("inverse_trigonometric", arity=2),
    "asinh": Function("inverse_hyperbolic", wide=True),
    "acosh": Function("inverse_hyperbolic", wide=True),
    "atanh": Function("inverse_hyperbolic", wide=True),
    "erf": Function("error_function"),
    "erfc": Function("error_function", wide=True),
    "erfinv": Function("inverse_error_function", wide=True),
    "lgamma": Function("gamma_function", wide=True, outlined=True),
    "digamma": Function("gamma_function", wide=True, outlined=True),
    "pow": Function("power", arity=2),
    "hypot": Function("algebraic", arity=2, wide=True),
    "sqrt": Function("algebraic"),
    "rsqrt": Function("algebraic"),
    "reciprocal": Function("algebraic"),
}

# What is exact, in the last bit too, whoever computes it.
EXACT: dict[str, Function] = {"fmod": Function("floating_remainder", arity=2, outlined=True)}
