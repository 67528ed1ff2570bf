"""MuJoCo's warnings, which it would print and append to a file in the working directory, sent to `logging`."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_logger = logging.getLogger("sim2real_cat.mujoco")


@contextmanager
def to_logging() -> Iterator[None]:
    """Within the block MuJoCo's warnings go to the logger ``sim2real_cat.mujoco`` at level INFO.

    Nothing is lost by their silence: a diverged simulation is seen in the batch's own counters.
    """
    import mujoco

    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(_logger.info)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)


@contextmanager
def compiling() -> Iterator[None]:
    """As `to_logging`, for a block that only compiles a model: the compiler warns through Python as well."""
    with to_logging(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        _logger.info("%s", warning.message)
