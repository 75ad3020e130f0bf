"""Vector functions as LLVM text: float32 and float64, any number of lanes, at most 2 ulp.

ssa          LLVM lines from Python expressions
formats      float32, float64, and float64 arithmetic for float32 results; exact sums and products
exponential, logarithm, power, algebraic, trigonometric, inverse_trigonometric, inverse_hyperbolic,
error_function, gamma_function, floating_remainder   the functions
coefficients polynomials and constants, written by ``scripts/make_vector_math_coefficients.py``
functions    their names, without what writes them
emitter      what a code generator calls

Straight-line code is chosen over internal functions because no optimisation pipeline runs that would inline them, and a
call spills the vectors that a loop holds in registers. Only what needs a branch (huge arguments of sin, cos, tan, huge
quotients of fmod) is a function of its own.

Bits depend on the CPU in one way: without FMA each ``a * b + c`` of a polynomial rounds twice, so the last bit may
differ. The bound holds for both. Exact products are made by Dekker's method there and have the same value. Lanes,
vector width and the AVX-512 scaling instruction never change bits.
"""

from .functions import EXACT, FUNCTIONS
