"""Policies with memory: every rollout starts one afresh, and the one in the user's hand never changes."""

from __future__ import annotations

import numpy as np
from rig import Constant, equal

from sim2real_cat.policies.policy import Policy
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.simulation.simulator import Simulator


class Counting(Policy):
    """Pushes as hard as it has acted often in that episode: a policy with memory."""

    def __init__(self, n: int | None = None) -> None:
        self.counts = None if n is None else np.zeros(n)

    def start(self, n):
        return Counting(n)

    def act(self, observations, episodes, step):
        self.counts[episodes] += 1
        return np.stack([self.counts[episodes], np.zeros(len(episodes))], axis=1)

    @property
    def digest(self):
        return "counting"


def test_a_policy_without_memory_starts_as_itself():
    policy = Constant(np.zeros(2))
    assert policy.start(3) is policy


def test_every_rollout_starts_a_policy_with_memory_afresh(rig):
    policy = Counting()
    first, second = (rollout(rig, policy, rng=0, episodes=3, steps=5) for _ in range(2))
    assert first.actions[:, :, 0].tolist() == [[1, 2, 3, 4, 5]] * 3
    assert equal(first, second)
    assert policy.counts is None


def test_a_simulator_starts_it_for_all_its_episodes(rig):
    simulator = Simulator(rig, member_index=np.zeros(4, dtype=np.int64), threads=1)
    generators = np.random.default_rng(0).spawn(4)
    for _ in range(2):
        assert simulator.run(Counting(), 3, generators).actions[:, -1, 0].tolist() == [3] * 4
