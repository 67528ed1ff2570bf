"""The random streams of a study."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, purpose: str, name: str) -> np.random.Generator:
    """A random stream of its own for every purpose and name, so that adding a policy changes no other."""
    label = hashlib.sha256(f"{purpose}:{name}".encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(label[:8], "little")])
