"""The worlds in which a policy is trained: the same throughout, or widened by a curriculum."""

from __future__ import annotations

import numpy as np

from sim2real_cat.worlds.curriculum import CurriculumState, Measure, Widening
from sim2real_cat.worlds.policy import Policy
from sim2real_cat.worlds.randomization import Ensemble
from sim2real_cat.worlds.simulator import Simulator
from sim2real_cat.worlds.trajectories import Trajectories
from sim2real_cat.worlds.world import World


class TrainingFibre:
    """The worlds of random search, in which directions take turns, and how wide they are by now.

    Args:
        world: model, task, sensors.
        members: the worlds, where they stay the same; the world as it is where neither they nor a curriculum is given.
        curriculum: the worlds, where they widen.
        seed: of the draws of the curriculum; the same at every level, so that each world moves outwards.
        directions: how many directions take turns.
        threads: physics threads; 0 means one per available core.

    Attributes:
        members: the worlds by now.
        simulator: one simulation for every try: `pairs` forwards, then as many backwards in the same worlds.
        repeats: how often every direction is tried forwards.
    """

    def __init__(
        self,
        world: World,
        members: Ensemble | None,
        curriculum: Widening | None,
        seed: int,
        directions: int,
        threads: int,
    ) -> None:
        self._world, self._curriculum, self._seed, self._threads = world, curriculum, seed, threads
        if curriculum is not None:
            self._state = curriculum.curriculum.start()
            self.members = curriculum.fibre(self._state, seed)
        else:
            self.members = Ensemble.nominal() if members is None else members
            self._state = CurriculumState(self.members.level)
        self.repeats = -(-max(directions, len(self.members)) // directions)
        self.pairs = self.repeats * directions
        self.simulator = self._simulator()

    @property
    def level(self) -> float:
        """How wide the worlds are, from 0 to 1."""
        return self._state.level

    def judged(self, tried: Trajectories, policy: Policy, steps: int, rng: np.random.Generator) -> Trajectories:
        """The episodes that the curriculum judges: those tried, or new ones of the policy on the boundary."""
        if self._curriculum is None or self._curriculum.curriculum.measure != "boundary return":
            return tried
        boundary = self._curriculum.boundary(self._state, int(rng.integers(2**63)))
        generators = [np.random.default_rng(seed) for seed in rng.integers(2**63, size=len(boundary))]
        return Simulator(self._world, boundary, threads=self._threads).run(policy, steps, generators)

    def update(self, seen: Trajectories) -> None:
        """Let the curriculum judge episodes, and draw the worlds anew where it changes their width."""
        if self._curriculum is None:
            return
        before = self.level
        performance = performance_of(seen, self._curriculum.curriculum.measure)
        self._state = self._curriculum.curriculum.update(self._state, performance)
        if self.level != before:
            self.members = self._curriculum.fibre(self._state, self._seed)
            self.simulator = self._simulator()

    def _simulator(self) -> Simulator:
        member_of = np.arange(self.pairs) % len(self.members)
        return Simulator(self._world, self.members, np.concatenate([member_of, member_of]), self._threads)


def performance_of(seen: Trajectories, measure: Measure) -> float:
    """What a curriculum is told of episodes: a mean return, or the share that their task ended.

    A diverged episode counts as ended, and as the worst return that was seen; minus infinity where all diverged.
    """
    if measure == "terminations":
        return float((seen.terminated | seen.diverged).mean())
    if not seen.kept.any():
        return -np.inf
    return float(np.where(seen.diverged, seen.returns[seen.kept].min(), seen.returns).mean())
