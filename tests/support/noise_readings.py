"""Readings of one sensor through a chain of noise models."""

from __future__ import annotations

import numpy as np

from sim2real_cat.worlds.parameters.channels import SensorParameters
from sim2real_cat.worlds.sensors.noise import NoiseChain
from sim2real_cat.worlds.sensors.sensing import SensorModel
from sim2real_cat.worlds.sensors.streams import spawn_streams

PERIOD = 0.02


def readings(chain, clean, seed=0):
    """What one sensor reads of a (n, frames) signal in n episodes."""
    n, frames = clean.shape
    chain = NoiseChain.of(chain)
    none, own = np.zeros((n, 1)), np.zeros((n, 1), dtype=np.intp)
    parameters = SensorParameters(np.full((n, 1), chain.deviation), none, none, none + 1, none > 0, own)
    generators = np.random.default_rng(seed).spawn(n)
    normals = np.stack([generator.standard_normal((frames, 1)) for generator in generators])
    started = SensorModel([chain], parameters, PERIOD).start(normals, spawn_streams(generators))
    return np.stack([started.read(clean[:, [k]], slice(None), k)[:, 0] for k in range(frames)], axis=1)
