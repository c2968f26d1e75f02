"""How threads inside kernels share out items and wait for each other.

A counter is two int64: items taken, items done. Who comes late finds nothing to take; who leaves a
stage knows that all of it is done.
"""

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

ONE = ir.Constant(ir.IntType(64), 1)
PATIENCE = 2000  # looks, about 20 microseconds, before a waiting thread lets others run


def _pointer(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    return context.make_array(signature.args[0])(context, builder, values[0]).data


@intrinsic
def take_next(context: Any, counter: Any) -> Any:
    """The number of an item that nobody else gets; more than there are when all are taken."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        taken = _pointer(context, builder, signature, values)
        return builder.atomic_rmw("add", taken, ONE, "monotonic")

    return types.int64(counter), generate


@intrinsic
def finish_one(context: Any, counter: Any) -> Any:
    """Tell that an item is done; all that was written for it becomes visible."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        done = builder.gep(_pointer(context, builder, signature, values), [ONE])
        return builder.atomic_rmw("add", done, ONE, "release")

    return types.int64(counter), generate


@intrinsic
def _count_done(context: Any, counter: Any) -> Any:
    """Items done so far."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        done = builder.gep(_pointer(context, builder, signature, values), [ONE])
        return builder.load_atomic(done, "acquire", 8)

    return types.int64(counter), generate


@intrinsic
def _let_others_run(context: Any) -> Any:
    """POSIX sched_yield."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.IntType(32), []), "sched_yield"
        )
        return builder.call(function, [])

    return types.int32(), generate


@njit(nogil=True)
def wait_for(counter, n_items):
    """Return when all items are done, by whomever."""
    n_looks = 0
    while _count_done(counter) < n_items:
        n_looks += 1
        if n_looks > PATIENCE:
            _let_others_run()
