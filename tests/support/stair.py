"""A Gymnasium environment whose every number is known in advance, and which breaks when it is told to."""

from __future__ import annotations

import gymnasium
import numpy as np
from rig import Constant

from sim2real_cat.worlds.external.gymnasium import GymnasiumWorld
from sim2real_cat.worlds.simulation.rollout import rollout


class Stair(gymnasium.Env):
    """Climbs by the action's sum; what it reads and when it ends is known in advance.

    Observes the height and the seed of its reset. Ends at height `top`; does what `trouble` says at step `when` if the
    seed is odd.
    """

    def __init__(self, *, top=100.0, limit=None, trouble=None, when=3, shape=(2,), observation=None, action=None):
        self.observation_space = observation or gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
        self.action_space = action or gymnasium.spaces.Box(-1.0, 1.0, shape, np.float64)
        self.top, self.limit, self.trouble, self.when = top, limit, trouble, when
        self.gain = 1.0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.height, self.count, self.seed = 0.0, 0, seed
        return self._seen(), {}

    def step(self, action):
        self.count += 1
        self.height += self.gain * float(np.sum(action))
        reward = self.height
        if self.seed is not None and self.seed % 2 and self.count == self.when + 1:
            if self.trouble == "raise":
                raise RuntimeError("the motor\nis on fire")
            if self.trouble == "reward":
                reward = np.inf
            if self.trouble == "observation":
                self.height = np.nan
            if self.trouble == "shape":
                return np.zeros(5), 0.0, False, False, {}
        return self._seen(), reward, self.height >= self.top, self.count == self.limit, {}

    def _seen(self):
        return np.array([self.height, float(self.seed or 0)])


def stairs(**settings):
    """A world of stairs, climbed at 0.1 s a step."""
    own = {name: settings.pop(name) for name in ("top", "limit", "trouble", "when", "shape") if name in settings}
    return GymnasiumWorld(lambda: Stair(**own), name="stair", **({"control_period": 0.1, "steps": 6} | settings))


def climb(world, step=(0.5, 0.5), **settings):
    return rollout(world, Constant(np.array(step)), **({"rng": 0, "episodes": 4} | settings))
