"""Deployments without physics: episodes of given returns, and gaps of given values."""

from __future__ import annotations

import numpy as np
import pytest

from sim2real_cat.gaps.estimate import Estimate
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.transfer.deployment import Deployment
from sim2real_cat.transfer.measurement import MeasuredGap
from sim2real_cat.worlds.randomization.ensemble import Ensemble


@pytest.fixture(scope="session")
def make_trajectories():
    """Episodes of two sensors with the given observations, or one step each with the given returns."""

    def make(observations=None, *, returns=(), diverged=(), members=None):
        if observations is None:
            observations = np.zeros((len(returns), 2, 2))
        n, frames, _ = observations.shape
        rewards = np.zeros((n, frames - 1))
        rewards[:, 0] = returns if len(returns) else 0.0
        return Trajectories(
            observations=observations,
            actions=np.zeros((n, frames - 1, 1)),
            rewards=rewards,
            qpos=np.zeros((n, frames, 0)),
            qvel=np.zeros((n, frames, 0)),
            lengths=np.full(n, frames - 1),
            terminated=np.zeros(n, dtype=bool),
            diverged=np.isin(np.arange(n), diverged),
            member_index=np.zeros(n, dtype=np.int64) if members is None else np.asarray(members),
            policies=("",) * n,
            sensors=("x", "y"),
            actuators=("motor",),
            control_period=0.02,
        )

    return make


@pytest.fixture(scope="session")
def make_deployment(make_trajectories):
    """A policy on a robot with the given real returns; every one of its worlds was seen once."""

    def make(policy, robot="robot", returns=(1.0,), diverged=(), fibre=None):
        fibre = Ensemble.nominal() if fibre is None else fibre
        worlds = len(fibre)
        sim = make_trajectories(returns=[10.0] * worlds, members=np.arange(worlds))
        real = make_trajectories(returns=returns, diverged=diverged)
        return Deployment(policy, robot, f"weights of {policy}", None, fibre, sim, real)

    return make


@pytest.fixture(scope="session")
def make_gap():
    """A measured gap of the given value; None is one that could not be measured."""

    def make(value, low=None, high=None, reliable=True, note=""):
        if value is None:
            return MeasuredGap(None, None, note)
        numbers = {"value": value, "low": value if low is None else low, "high": value if high is None else high}
        estimate = Estimate(
            **numbers,
            raw=value,
            plug_in=value,
            confidence=0.95,
            method="gaussian",
            level="transition",
            units="nats per control step",
            n_real=10,
            n_sim=10,
            episodes_real=2,
            episodes_sim=2,
            n_members=1,
            sensors=("x", "y"),
            reliable=reliable,
            why=(),
        )
        return MeasuredGap(estimate, None, note)

    return make
