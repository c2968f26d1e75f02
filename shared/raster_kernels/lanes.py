"""Sixteen float32 lanes as one value inside Numba kernels.

Numba has no vector type of its own and LLVM's automatic vectoriser keeps the state of a loop like
ours in memory. Here a value of type ``lanes`` is LLVM's ``<16 x float>``: one AVX-512 register,
two AVX2 or four NEON ones, whatever the processor has. ``+ - *``, ``<= >= >`` work
between lanes and with float32 scalars; comparisons give a ``lane_mask``.
"""

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

N_LANES = 16

FLOAT = ir.FloatType()
INT = ir.IntType(32)
FLOATS = ir.VectorType(FLOAT, N_LANES)
BITS = ir.VectorType(ir.IntType(1), N_LANES)
FLAGS = ("contract", "reassoc", "nsz", "arcp")  # a multiply and an add may fuse


class LanesType(types.Type):
    """Sixteen float32."""

    def __init__(self) -> None:
        super().__init__("lanes")


class LaneMaskType(types.Type):
    """Sixteen booleans."""

    def __init__(self) -> None:
        super().__init__("lane_mask")


LANES = LanesType()
LANE_MASK = LaneMaskType()


@register_model(LanesType)
class LanesModel(models.PrimitiveModel):
    """How LLVM holds lanes."""

    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, FLOATS)


@register_model(LaneMaskType)
class LaneMaskModel(models.PrimitiveModel):
    """How LLVM holds a mask."""

    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, BITS)


def _spread(builder: Any, value: Any, numba_type: Any) -> Any:
    """The value as a vector; scalars go into every lane."""
    if isinstance(numba_type, LanesType):
        return value
    single = builder.insert_element(ir.Constant(FLOATS, ir.Undefined), value, INT(0))
    return builder.shuffle_vector(
        single,
        ir.Constant(FLOATS, ir.Undefined),
        ir.Constant(ir.VectorType(INT, N_LANES), [0] * N_LANES),
    )


def _is_lane_pair(a: Any, b: Any) -> bool:
    pair = (a, b)
    has_lanes = any(isinstance(t, LanesType) for t in pair)
    return has_lanes and all(isinstance(t, LanesType) or t == types.float32 for t in pair)


def _define_arithmetic(python_operator: Callable[..., Any], instruction: str) -> None:
    """Let ``python_operator`` work on lanes."""

    @intrinsic
    def apply(context: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            left, right = (
                _spread(builder, v, t) for v, t in zip(values, signature.args, strict=True)
            )
            return getattr(builder, instruction)(left, right, flags=FLAGS)

        return LANES(a, b), generate

    @overload(python_operator)
    def overloaded(a: Any, b: Any) -> Any:
        def implementation(a: Any, b: Any) -> Any:
            return apply(a, b)

        return implementation if _is_lane_pair(a, b) else None


def _define_comparison(python_operator: Callable[..., Any], symbol: str) -> None:
    """Let ``python_operator`` work on lanes."""

    @intrinsic
    def apply(context: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            left, right = (
                _spread(builder, v, t) for v, t in zip(values, signature.args, strict=True)
            )
            return builder.fcmp_ordered(symbol, left, right)

        return LANE_MASK(a, b), generate

    @overload(python_operator)
    def overloaded(a: Any, b: Any) -> Any:
        def implementation(a: Any, b: Any) -> Any:
            return apply(a, b)

        return implementation if _is_lane_pair(a, b) else None


_define_arithmetic(operator.add, "fadd")
_define_arithmetic(operator.iadd, "fadd")
_define_arithmetic(operator.sub, "fsub")
_define_arithmetic(operator.mul, "fmul")
_define_comparison(operator.ge, ">=")
_define_comparison(operator.le, "<=")
_define_comparison(operator.gt, ">")


@intrinsic
def spread(context: Any, value: Any) -> Any:
    """The float32 scalar in every lane."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _spread(builder, values[0], signature.args[0])

    return LANES(types.float32), generate


@intrinsic
def where(context: Any, mask: Any, yes: Any, no: Any) -> Any:
    """Lanes of ``yes`` where the mask is set, of ``no`` elsewhere; either may be a scalar."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _, yes_type, no_type = signature.args
        return builder.select(
            values[0],
            _spread(builder, values[1], yes_type),
            _spread(builder, values[2], no_type),
        )

    return LANES(LANE_MASK, yes, no), generate


@intrinsic
def both(context: Any, a: Any, b: Any) -> Any:
    """Where both masks are set."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.and_(values[0], values[1])

    return LANE_MASK(LANE_MASK, LANE_MASK), generate


def _define_unary(name: str) -> Callable[..., Any]:
    """A function of lanes that LLVM has as an intrinsic."""

    @intrinsic
    def apply(context: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            function = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(FLOATS, [FLOATS]), f"llvm.{name}.v{N_LANES}f32"
            )
            return builder.call(function, values)

        return LANES(LANES), generate

    return apply


square_root = _define_unary("sqrt")
round_up = _define_unary("ceil")
round_down = _define_unary("floor")


@intrinsic
def bits_of(context: Any, mask: Any) -> Any:
    """The mask as an integer, lane 0 in the lowest bit."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.zext(builder.bitcast(values[0], ir.IntType(N_LANES)), INT)

    return types.int32(LANE_MASK), generate


@intrinsic
def lowest_bit(context: Any, bits: Any) -> Any:
    """Position of the lowest set bit of a nonzero integer."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.zext(builder.cttz(values[0], ir.Constant(ir.IntType(1), 1)), ir.IntType(64))

    return types.int64(types.int32), generate


@intrinsic
def reciprocal(context: Any, value: Any) -> Any:
    """1 / value for positive lanes, within 2 ulp or so: Newton's method from a bit trick.

    Much cheaper than a division of sixteen lanes; 0x7EF311C7 is the classic first guess.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        integers = ir.VectorType(INT, N_LANES)
        two = ir.Constant(FLOATS, [2.0] * N_LANES)
        magic = ir.Constant(integers, [0x7EF311C7] * N_LANES)
        guess = builder.bitcast(builder.sub(magic, builder.bitcast(values[0], integers)), FLOATS)
        for _ in range(3):
            rest = builder.fsub(two, builder.fmul(values[0], guess, flags=FLAGS), flags=FLAGS)
            guess = builder.fmul(guess, rest, flags=FLAGS)
        return guess

    return LANES(LANES), generate


@intrinsic
def total(context: Any, value: Any) -> Any:
    """The sum of the sixteen lanes."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(FLOAT, [FLOAT, FLOATS]),
            f"llvm.vector.reduce.fadd.v{N_LANES}f32",
        )
        return builder.call(function, [ir.Constant(FLOAT, 0.0), values[0]], fastmath=("reassoc",))

    return types.float32(LANES), generate


@intrinsic
def sums_of(context: Any, vectors: Any) -> Any:
    """Sums of up to sixteen lanes values: lane k of the result is the sum over vector k.

    A tree of pairwise shuffles: two vectors become one with half of the additions done.
    """
    n = len(vectors)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        zero = ir.Constant(FLOATS, [0.0] * N_LANES)
        level = [builder.extract_value(values[0], k) for k in range(n)]
        level += [None] * (N_LANES - n)
        while len(level) > 1:
            pairs = zip(level[::2], level[1::2], strict=True)
            level = [_fold(builder, a, b, zero) for a, b in pairs]
        return level[0]

    return LANES(vectors), generate


def _fold(builder: Any, a: Any, b: Any, zero: Any) -> Any:
    """Add neighbouring lanes: sums of ``a`` in the lower half of the result, of ``b`` above."""
    if a is None:
        return None
    other = zero if b is None else b
    integers = ir.VectorType(INT, N_LANES)
    first = builder.shuffle_vector(a, other, ir.Constant(integers, list(range(0, 2 * N_LANES, 2))))
    second = builder.shuffle_vector(a, other, ir.Constant(integers, list(range(1, 2 * N_LANES, 2))))
    return builder.fadd(first, second, flags=FLAGS)
