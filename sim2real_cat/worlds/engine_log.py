"""Send MuJoCo's warnings to `logging`; MuJoCo itself would print them and write a file into the working directory."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_logger = logging.getLogger("sim2real_cat.mujoco")


@contextmanager
def to_logging() -> Iterator[None]:
    """Send MuJoCo's warnings within the block to the logger ``sim2real_cat.mujoco``, at level INFO.

    Nothing is lost: a simulation that blows up is seen in the counters of its batch.
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
    """Do as `to_logging` in a block that compiles a model, whose compiler also warns through Python."""
    with to_logging(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        _logger.info("%s", warning.message)
