"""Names for the types of numpy arrays that numbers are computed in."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
"""Real numbers."""

Ints: TypeAlias = NDArray[np.intp]
"""Counts, and indices into other arrays."""

Bools: TypeAlias = NDArray[np.bool_]
"""Masks and other truth values."""
