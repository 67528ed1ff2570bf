"""A limit on the threads of linear algebra, which would fight with the threads of the physics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Limit the BLAS libraries loaded so far to one thread within the block.

    The matrices of this package are small, so that starting threads costs more than it saves (measured: some ten
    times for a gap), and sums on one thread are the same on every machine with the same BLAS.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield
