"""The laws on what random worlds did: who stays in the fibre transfers, and who is far outside does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from scipy import stats

from sim2real_cat import strategies
from sim2real_cat.policies.files import ActionTable
from sim2real_cat.predictive.gap import predictive_gap
from sim2real_cat.transfer.build import build_instance
from sim2real_cat.transfer.deployment import Deployment
from sim2real_cat.transfer.measurement import MeasuredGap
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.simulation.rollout import rollout

MEMBERS, EPISODES, STEPS, CONFIDENCE = 8, 6, 40, 0.95
WORLDS = 30
NOISE = 1e-6
"""Deviation of every sensor in its own unit: so little that one control step tells most members of a fibre apart."""

FIBRE_BOUND = np.log(MEMBERS) / STEPS
"""T·fibre_gap <= ln(1/w): no member of a fibre of equal weights is further from it, in nats per control step."""
JUST_OVER = FIBRE_BOUND * (1 + 1e-9)
"""The bound is reached, to the last digit, where all members are told apart; the law asks for less than epsilon."""


def deployed(world, fibre, reality, rng):
    """A policy of random actions, trained in the fibre, on a robot: its deployment and its gap."""
    actions = rng.uniform(-1, 1, (EPISODES, STEPS, world.compile().nu))
    policy = ActionTable(actions)
    real = rollout(world, policy, rng=rng, fibre=reality, episodes=EPISODES, steps=STEPS, threads=1)
    sim = rollout(world, ActionTable(actions[0]), rng=rng, fibre=fibre, episodes=1, steps=STEPS, threads=1)
    assert real.kept.all()
    assert sim.kept.all()
    found = predictive_gap(world, real, fibre=fibre, reality=reality, confidence=CONFIDENCE, rng=rng, threads=1)
    deployment = Deployment("policy", "robot", policy.digest, None, fibre, sim, real, world=world, reality=reality)
    return deployment, MeasuredGap(found.estimate, None, "", found, found)


def claiming(deployment, gap, epsilon):
    """The instance of a deployment in which the policy is said to transfer, whatever was measured."""
    instance = build_instance([deployment], [gap], epsilon)
    instance.acset.set("Policy", 0, transfer=0)
    return instance


def far_away(world):
    """A world that no fibre of factors near 1 has: motors of four times the strength, in all joints."""
    names = [world.compile().actuator(i).name for i in range(world.compile().nu)]
    return Ensemble.single({f"actuator_gear[{name}, 0]": {"scale": 4.0} for name in names})


@pytest.fixture(scope="module")
def family():
    """For each of many random worlds the same policy at home, in a member of its fibre, and far away."""
    found = []

    @settings(max_examples=WORLDS, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    @given(st.data(), strategies.worlds(max_bodies=3))
    def play(data, world):
        world = replace(world, noise={"*": NOISE})
        fibre = data.draw(strategies.randomizations(world)).draw(MEMBERS, rng=len(found))
        rng = np.random.default_rng(len(found))
        home = fibre.select([int(rng.integers(MEMBERS))])
        found.append([deployed(world, fibre, reality, rng) for reality in (home, far_away(world))])

    play()
    assert len(found) >= WORLDS
    return found


def test_a_member_of_the_fibre_is_found_outside_no_more_often_than_stated(family):
    """With epsilon as large as the fibre allows, the claim to transfer is true; one law judges it by an interval."""
    verdicts = [claiming(*home, JUST_OVER).check(JUST_OVER)["transfer-identity"].verdict for home, _ in family]
    level = (1 - CONFIDENCE) / 2
    assert verdicts.count("violated") <= stats.binom.ppf(0.999, len(family), level)
    reached = [gap.predictive.episode.high >= FIBRE_BOUND * (1 - 1e-9) for (_, gap), _ in family]
    assert np.mean(reached) > 0.5, "the bound is reached in many worlds, so that to stay within it says something"


def test_who_stays_in_the_fibre_transfers(family):
    for home, _ in family:
        instance = build_instance([home[0]], [home[1]], 0.5)
        assert instance.transferring().tolist() == [0]
        assert instance.check(0.5, list(strategies.LAWS)).verdict == "holds"


def test_who_is_far_outside_is_found(family):
    for _, (deployment, gap) in family:
        instance = build_instance([deployment], [gap], 0.5)
        assert gap.transition.low >= 0.5
        assert instance.transferring().tolist() == []
        assert instance.check(0.5, list(strategies.LAWS)).verdict == "holds"
        result = claiming(deployment, gap, 0.5).check(0.5)["transfer-identity"]
        assert [(w.verdict, w.ob, w.id) for w in result.witnesses] == [("violated", "Policy", 0)]
