"""Whitening, and a limit on the threads of linear algebra, which would fight with the threads of the physics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from sim2real_cat.arrays import Floats


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Limit the BLAS libraries loaded so far to one thread within the block.

    The matrices of this package are small, so that starting threads costs more than it saves (measured: some ten
    times for a gap), and sums on one thread are the same on every machine with the same BLAS.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield


def whitening(points: Floats) -> Callable[[Floats], Floats]:
    """Return the linear map of points (n, d) that gives these points (m, d) unit covariance.

    It is the inverse of the lower Cholesky factor: a column becomes what the columns before it do not predict.

    Raises:
        numpy.linalg.LinAlgError: The covariance is singular.
    """
    from scipy.linalg import solve_triangular

    factor = np.linalg.cholesky(np.atleast_2d(np.cov(points, rowvar=False)))

    def white(others: Floats) -> Floats:
        found: Floats = solve_triangular(factor, others.T, lower=True).T
        return found

    return white
