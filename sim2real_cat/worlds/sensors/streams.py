"""Random streams of an episode, one for every purpose, so that the draws for one purpose do not change another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Streams(NamedTuple):
    """Random generators spawned from that of an episode, which leaves the episode's own numbers as they are.

    Every stream is read frame by frame, so a shorter episode sees the same numbers.

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
