"""Moves lanes between registers and memory; nobody checks bounds."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from shared.raster_kernels.lanes import FLOAT, FLOATS, INT, LANES, N_LANES


def _address(
    context: Any, builder: Any, array_type: Any, array: Any, index: Any, width: Any
) -> Any:
    """Pointer to ``width`` at element ``index`` of a one-dimensional contiguous float32 array."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), width.as_pointer())


@intrinsic
def load(context: Any, array: Any, index: Any) -> Any:
    """Lanes from ``array[index : index + 16]``."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        pointer = _address(context, builder, signature.args[0], values[0], values[1], FLOATS)
        return builder.load(pointer, align=4)

    return LANES(array, types.intp), generate


@intrinsic
def store(context: Any, array: Any, index: Any, value: Any) -> Any:
    """Write lanes to ``array[index : index + 16]``."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        pointer = _address(context, builder, signature.args[0], values[0], values[1], FLOATS)
        builder.store(values[2], pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, LANES), generate


@intrinsic
def store_integers(context: Any, array: Any, index: Any, value: Any) -> Any:
    """Write lanes as int32 to ``array[index : index + 16]``."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        integers = ir.VectorType(INT, N_LANES)
        pointer = _address(context, builder, signature.args[0], values[0], values[1], integers)
        builder.store(builder.fptosi(values[2], integers), pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, LANES), generate


def _row_pointer(builder: Any, start: Any, stride: Any, row: int, width: int) -> Any:
    """Pointer to ``width`` floats, ``row`` strides behind ``start``."""
    offset = builder.mul(stride, ir.Constant(ir.IntType(64), row))
    return builder.bitcast(builder.gep(start, [offset]), ir.VectorType(FLOAT, width).as_pointer())


def _shuffled(builder: Any, a: Any, b: Any, lanes: list[int]) -> Any:
    """The chosen lanes of ``a`` followed by ``b``."""
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(INT, len(lanes)), lanes))


@intrinsic
def load_rgb_rows(context: Any, array: Any, index: Any, stride: Any) -> Any:
    """Red, green and blue of 4x4 px; ``index`` is the first number, ``stride`` a row's length."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, values[0]).data
        start = builder.gep(data, [values[1]])
        rows = [
            builder.load(_row_pointer(builder, start, values[2], row, 12), align=4)
            for row in range(4)
        ]
        halves = [_shuffled(builder, a, b, list(range(24))) for a, b in (rows[:2], rows[2:])]
        channels = []
        for channel in range(3):
            low, high = (
                _shuffled(builder, half, half, list(range(channel, 24, 3))) for half in halves
            )
            channels.append(_shuffled(builder, low, high, list(range(N_LANES))))
        return context.make_tuple(builder, signature.return_type, channels)

    return types.UniTuple(LANES, 3)(array, types.intp, types.intp), generate


@intrinsic
def store_rgb_rows(
    context: Any, array: Any, index: Any, stride: Any, red: Any, green: Any, blue: Any
) -> Any:
    """Write 4x4 px, the reverse of ``load_rgb_rows``."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, values[0]).data
        start = builder.gep(data, [values[1]])
        for row in range(4):
            first = 4 * row
            pairs = [lane for k in range(first, first + 4) for lane in (k, N_LANES + k)]
            two = _shuffled(builder, values[3], values[4], pairs)  # r g r g r g r g
            last = _shuffled(builder, values[5], values[5], [*range(first, first + 4)] * 2)
            order = [lane for k in range(4) for lane in (2 * k, 2 * k + 1, 8 + k)]
            pixels = _shuffled(builder, two, last, order)
            builder.store(pixels, _row_pointer(builder, start, values[2], row, 12), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, LANES, LANES, LANES), generate


@intrinsic
def load_rows(context: Any, array: Any, index: Any, stride: Any) -> Any:
    """One channel of 4x4 px."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, values[0]).data
        start = builder.gep(data, [values[1]])
        rows = [
            builder.load(_row_pointer(builder, start, values[2], row, 4), align=4)
            for row in range(4)
        ]
        halves = [_shuffled(builder, a, b, list(range(8))) for a, b in (rows[:2], rows[2:])]
        return _shuffled(builder, halves[0], halves[1], list(range(N_LANES)))

    return LANES(array, types.intp, types.intp), generate


@intrinsic
def store_rows(context: Any, array: Any, index: Any, stride: Any, value: Any) -> Any:
    """Write one channel of 4x4 px."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, values[0]).data
        start = builder.gep(data, [values[1]])
        for row in range(4):
            pixels = _shuffled(builder, values[3], values[3], list(range(4 * row, 4 * row + 4)))
            builder.store(pixels, _row_pointer(builder, start, values[2], row, 4), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, LANES), generate
