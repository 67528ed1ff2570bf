from dataclasses import dataclass

import numpy as np
import pytest


@dataclass
class Recorded:
    """The least that satisfies EpisodicSamples."""

    episodes: list
    member_index: np.ndarray
    sensors: tuple = ()
    control_period: float = 0.02

    def __post_init__(self):
        self.sensors = self.sensors or tuple(f"s{i}" for i in range(self.episodes[0].shape[1]))


@pytest.fixture(scope="session")
def recorded():
    return Recorded


@pytest.fixture(scope="session")
def autoregressive():
    """Stationary episodes o' = rho o + sqrt(1 - rho²) (shift + scale noise): a unit scale has unit variance."""

    def draw(rng, episodes, steps, d, rho, shift=0.0, scale=1.0):
        pace = np.sqrt(1 - rho**2)
        o = rng.normal(size=(episodes, d)) * scale + pace * shift / (1 - rho)
        out = np.empty((episodes, steps, d))
        for t in range(steps):
            out[:, t] = o
            o = rho * o + pace * (shift + scale * rng.normal(size=(episodes, d)))
        return list(out)

    return draw
