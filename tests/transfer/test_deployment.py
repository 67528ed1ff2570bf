"""Deploying a policy: what each side shows, where the random numbers come from, and what training adds."""

from __future__ import annotations

import numpy as np
import pytest

from sim2real_cat.errors import InstanceError, PolicyError, WorldError
from sim2real_cat.policies.policy import LinearPolicy
from sim2real_cat.training.random_search import RandomSearch, train
from sim2real_cat.transfer.deployment import deploy
from sim2real_cat.worlds.external.gymnasium import GymnasiumWorld
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.world import World

UPRIGHT = LinearPolicy(np.array([[0.5, 15.0, 1.0, 2.0]]), np.zeros(4), np.ones(4))
HEAVIER = Ensemble.single({"body_inertial[pole]": {"scale": 1.3}})
FIBRE = Randomization.from_table({"body_inertial[pole]": {"scale": [0.8, 1.2]}}).draw(3, rng=0)


@pytest.fixture(scope="module")
def world():
    return World.gymnasium("InvertedPendulum", 0.01)


def deployed(world, policy=UPRIGHT, **options):
    choices = {"fibre": FIBRE, "episodes": 4, "sim_episodes": 2, "steps": 15, "rng": 5, "threads": 1, **options}
    return deploy(world, policy, name="upright", robot="heavy", **choices)


def alone(world, rng, fibre, episodes):
    return rollout(world, UPRIGHT, rng=rng, fibre=fibre, episodes=episodes, steps=15, name="upright", threads=1)


def test_each_side_is_a_rollout(world):
    found = deployed(world, reality=HEAVIER)
    rng = np.random.default_rng(5)
    for side, expected in ((found.sim, alone(world, rng, FIBRE, 2)), (found.real, alone(world, rng, HEAVIER, 4))):
        np.testing.assert_array_equal(side.observations, expected.observations)
        assert side.policies == ("upright",) * len(expected)
    assert (found.policy, found.robot, found.weights_digest) == ("upright", "heavy", UPRIGHT.digest)
    assert (found.birth_digest, found.trainer, found.entropy_coefficient) == (None, None, None)
    assert (found.world, found.fibre, found.reality) == (world, FIBRE, HEAVIER)


def test_the_real_side_can_have_a_stream_of_its_own(world):
    found = deployed(world, reality=HEAVIER, real_rng=7)
    np.testing.assert_array_equal(found.real.observations, alone(world, 7, HEAVIER, 4).observations)
    np.testing.assert_array_equal(found.sim.observations, alone(world, 5, FIBRE, 2).observations)


def test_a_fibre_of_one_world_is_seen_as_often_as_the_robot(world):
    found = deployed(world, reality=HEAVIER, fibre=None)
    assert (len(found.fibre), len(found.sim), len(found.real)) == (1, 4, 4)


def test_recorded_episodes_are_the_real_side(world):
    real = alone(world, 9, HEAVIER, 3)
    found = deployed(world, real=real)
    assert found.real is real
    assert found.reality is None
    np.testing.assert_array_equal(found.sim.observations, alone(world, 5, FIBRE, 2).observations)
    assert deployed(world, real=real, reality=HEAVIER).reality is HEAVIER


def test_training_says_where_a_policy_comes_from(world):
    trained = train(world, RandomSearch(iterations=1, directions=2, top=1, steps=5), rng=3, fibre=FIBRE, threads=1)
    found = deployed(world, trained, reality=HEAVIER)
    assert (found.weights_digest, found.birth_digest) == (trained.policy.digest, trained.birth.digest)
    assert (found.trainer, found.entropy_coefficient) == (trained.trainer, None)


def test_the_worlds_of_a_training_are_the_fibre_unless_others_are_given(world):
    trained = train(world, RandomSearch(iterations=1, directions=2, top=1, steps=5), rng=3, fibre=FIBRE, threads=1)
    assert deployed(world, trained, reality=HEAVIER, fibre=None).fibre is FIBRE
    assert deployed(world, trained, reality=HEAVIER, fibre=HEAVIER).fibre is HEAVIER


def test_progress_names_what_is_done(world):
    seen = []
    deployed(world, reality=HEAVIER, steps=3, progress=lambda doing, done: seen.append((doing, done)))
    assert seen == [(f"{doing} upright", done) for doing in ("simulating", "deploying") for done in (1, 2, 3)]


def test_another_simulator_cannot_be_set_to_a_state():
    world = GymnasiumWorld("Pendulum-v1")
    policy = LinearPolicy(np.zeros((1, 3)), np.zeros(3), np.ones(3))
    found = deployed(world, policy, fibre=None, reality=Ensemble.nominal(), episodes=2, steps=4)
    assert found.world is None
    assert found.real.lengths.tolist() == [4, 4]


def test_a_real_side_is_needed_and_of_this_policy(world, refused):
    with refused(InstanceError, "policy 'upright' has no real side: give the recording as real, or as reality"):
        deployed(world)
    other = rollout(world, UPRIGHT, rng=1, steps=3, name="other", threads=1)
    with refused(InstanceError, "the recording is of 'other', not of 'upright' alone", "of_policy"):
        deployed(world, real=other)


def test_worlds_are_drawn_first(world, refused):
    with refused(WorldError, "fibre is a Randomization, from which worlds are drawn first"):
        deployed(world, reality=HEAVIER, fibre=Randomization())


def test_files_are_read_first(world, refused):
    with refused(PolicyError, "needs a Policy or the result of a training, got str; load_policy reads one"):
        deployed(world, "policy.npz", reality=HEAVIER)
    with refused(InstanceError, "real is Trajectories, got str; World.read_log reads a log"):
        deployed(world, real="robot.csv")
