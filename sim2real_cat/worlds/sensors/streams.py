"""Random streams of an episode, one for every purpose, so that the draws of one do not change another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Streams(NamedTuple):
    """Child generators of an episode's generator; spawning them leaves the generator's own numbers as they are.

    Every stream is read frame by frame, so an episode that is cut shorter sees the same numbers.

    Attributes:
        sensors: noise of the sensors, beyond one normal for every reading.
        actions: delays and losses on the way to the actuators.
        memory: observations with a memory.
    """

    sensors: np.random.Generator
    actions: np.random.Generator
    memory: np.random.Generator


def spawn_streams(generators: Sequence[np.random.Generator]) -> list[Streams]:
    """Spawn the streams of every episode."""
    return [Streams(*generator.spawn(len(Streams._fields))) for generator in generators]
