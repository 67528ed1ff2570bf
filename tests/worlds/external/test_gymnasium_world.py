"""Any Gymnasium environment is a world: episodes as it plays them alone, whatever runs beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st
from rig import Scripted, equal
from stair import Stair, climb, stairs

from sim2real_cat.errors import PolicyError, WorldError
from sim2real_cat.policies.policy import LinearPolicy, Policy
from sim2real_cat.recordings.logs.reader import read_log
from sim2real_cat.recordings.parquet import write_log
from sim2real_cat.recordings.trajectories import concatenate
from sim2real_cat.worlds.engine_log import compiling
from sim2real_cat.worlds.external.gymnasium import GymnasiumWorld
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.simulation.simulator import Simulator
from sim2real_cat.worlds.world import World

BALANCE = LinearPolicy(np.array([[0.0] * 4, [0.1, 0.5, 5.0, 1.0]]), np.zeros(4), np.ones(4))
"""Scores for pushing CartPole's cart left and right."""
LEANING = LinearPolicy(np.array([[0.0] * 4, [0.0, 0.0, 5.0, 0.05]]), np.zeros(4), np.ones(4))
"""As above, but some episodes fall within a second."""
SWING = LinearPolicy(np.array([[-5.0, 2.0, 1.0]]), np.zeros(3), np.ones(3))


@dataclass(frozen=True, eq=False)
class InSinglePrecision(Policy):
    """A policy whose answers are numbers that a Box of float32 holds, so that every simulator gets the same."""

    inner: Policy

    def act(self, observations, episodes, step):
        return self.inner.act(observations, episodes, step).astype(np.float32).astype(np.float64)

    @property
    def digest(self):
        return self.inner.digest


# --- what an environment is asked, and what of it is kept


@pytest.mark.parametrize(
    ("world", "policy", "steps"),
    [
        (
            World.gymnasium("InvertedPendulum"),
            LinearPolicy(np.array([[0.4, 9.0, 0.6, 1.5]]), np.zeros(4), np.ones(4)),
            80,
        ),
        (World.gymnasium("Hopper"), LinearPolicy(np.full((3, 11), 0.05), np.zeros(11), np.ones(11)), 60),
    ],
    ids=["InvertedPendulum", "Hopper"],
)
def test_the_same_episodes_as_in_mujocos_batch(world, policy, steps):
    def make():
        with compiling():
            return gymnasium.make(f"{world.name}-v5", disable_env_checker=True)

    policy, n = InSinglePrecision(policy), 5
    external = rollout(GymnasiumWorld(make, sensors=world.sensors), policy, rng=3, episodes=n, steps=steps)
    # Gymnasium's own start is the batch's with a generator of the same seed
    seeds = [int(generator.integers(2**31)) for generator in np.random.default_rng(3).spawn(n)]
    simulator = Simulator(world, member_index=np.zeros(n, dtype=np.int64), threads=1)
    batch = simulator.run(policy, steps, [np.random.default_rng(seed) for seed in seeds])
    for name in ("observations", "actions", "rewards"):
        np.testing.assert_allclose(getattr(external, name), getattr(batch, name), rtol=0, atol=1e-9, err_msg=name)
    for name in ("lengths", "terminated", "diverged", "member_index"):
        assert np.array_equal(getattr(external, name), getattr(batch, name)), name
    assert external.control_period == pytest.approx(batch.control_period, abs=1e-15)
    assert external.sensors == batch.sensors
    assert external.qpos.shape == (n, batch.qpos.shape[1], 0)
    assert external.qvel.shape == (n, batch.qvel.shape[1], 0)


def test_an_episode_by_hand():
    done = climb(stairs(top=2.5), (0.5, 0.25), episodes=2, name="climber")
    assert done.lengths.tolist() == [4, 4]
    assert done.observations[0, :, 0].tolist() == [0.0, 0.75, 1.5, 2.25, 3.0]
    assert done.rewards[0].tolist() == [0.75, 1.5, 2.25, 3.0]
    assert done.actions[1].tolist() == [[0.5, 0.25]] * 4
    assert done.terminated.tolist() == [True, True]
    assert done.policies == ("climber", "climber")
    assert done.sensors == ("observation[0]", "observation[1]")
    assert done.actuators == ("action[0]", "action[1]")
    assert done.reasons == ("", "")


def test_every_episode_has_a_seed_of_its_own():
    done = climb(stairs(), episodes=6)
    seeds = done.observations[:, 0, 1]
    assert len(set(seeds)) == 6
    assert (done.observations[:, :, 1] == seeds[:, None]).all()
    assert np.array_equal(climb(stairs(), episodes=3).observations, done.observations[:3])


def test_truncation_is_no_termination():
    cut, ended, both = climb(stairs(limit=4)), climb(stairs(top=4)), climb(stairs(top=4, limit=4))
    assert cut.lengths.tolist() == ended.lengths.tolist() == both.lengths.tolist() == [4] * 4
    assert not cut.terminated.any()
    assert ended.terminated.all()
    assert both.terminated.all()
    assert not cut.diverged.any()


def test_progress_covers_all_waves():
    seen = []
    climb(stairs(environments=2), progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 6
    assert len(seen) == 12


def test_names_and_shapes():
    world = stairs(shape=(2, 2), sensors=["height", "seed"], noise={"height": 0.5})
    assert world.actuators == ("action[0, 0]", "action[0, 1]", "action[1, 0]", "action[1, 1]")
    assert world.sensors == ("height", "seed")
    assert world.deviations().tolist() == [0.5, 0.0]
    assert climb(world, (0.1, 0.2, 0.3, 0.4)).observations.shape == (4, 7, 2)


def test_noise_is_what_the_policy_sees_but_not_what_happens():
    clean, noisy = climb(stairs(), episodes=200), climb(stairs(noise=0.1), episodes=200)
    assert np.array_equal(clean.rewards, noisy.rewards)
    error = noisy.observations - clean.observations
    assert error.std() == pytest.approx(0.1, rel=0.05)
    assert abs(error.mean()) < 0.01
    assert np.array_equal(climb(stairs(noise=0.1), episodes=200, steps=3).observations, noisy.observations[:, :4])


def test_what_an_environment_says_of_itself():
    cartpole, pendulum, acrobot = (GymnasiumWorld(name) for name in ("CartPole-v1", "Pendulum-v1", "Acrobot-v1"))
    assert (cartpole.name, cartpole.control_period, cartpole.steps) == ("CartPole-v1", 0.02, 500)
    assert (pendulum.control_period, pendulum.steps) == (0.05, 200)  # not its 30 frames per second
    assert acrobot.control_period == 0.2
    assert GymnasiumWorld("MountainCar-v0").control_period == pytest.approx(1 / 30)  # nothing else is said
    made = GymnasiumWorld(lambda: gymnasium.make("CartPole-v1"), control_period=0.5, steps=7)
    assert (made.name, made.control_period, made.steps) == ("CartPole-v1", 0.5, 7)


def test_a_world_says_what_it_is_in_a_line():
    shown = "GymnasiumWorld('CartPole-v1', 4 sensors, 1 actuators, 0.02 s a step, 500 steps)"
    assert repr(GymnasiumWorld("CartPole-v1")) == shown
    assert repr(stairs(steps=None)).endswith("0.1 s a step, no limit)")


def test_actions_are_recorded_as_the_environment_gets_them():
    space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    world = GymnasiumWorld(lambda: Stair(action=space), control_period=0.1, steps=2)
    assert climb(world, (0.1,)).actions[0, 0, 0] == float(np.float32(0.1))


# --- choices


def test_a_choice_is_its_number_or_the_highest_score():
    world = GymnasiumWorld("CartPole-v1")
    scored = rollout(world, BALANCE, rng=0, episodes=3, steps=50)
    assert scored.actuators == ("choice",)
    assert set(np.unique(scored.actions[~np.isnan(scored.actions)])) == {0.0, 1.0}
    expected = BALANCE.act(scored.observations[0, :10], np.arange(10), 0).argmax(axis=1)
    assert scored.actions[0, :10, 0].tolist() == expected.tolist()
    chosen = rollout(world, Scripted(np.nan_to_num(scored.actions)), rng=0, episodes=3, steps=50)
    assert equal(scored, chosen)


def test_choices_may_start_anywhere():
    spaces = {"action": gymnasium.spaces.Discrete(3, start=5)}
    world = GymnasiumWorld(lambda: Stair(**spaces), name="stair", control_period=0.1, steps=2)
    assert climb(world, (5.0,)).observations[0, :, 0].tolist() == [0.0, 5.0, 10.0]
    assert climb(world, (0.0, 1.0, 1.0)).actions[0].tolist() == [[6.0], [6.0]]
    with pytest.raises(PolicyError, match=r"answered 8.0 in episode 0, control step 0, .* whole number from 5 to 7"):
        climb(world, (8.0,))
    with pytest.raises(PolicyError, match=r"answered 5.5 in episode 0"):
        climb(world, (5.5,))


# --- however many run at once


def vector(**settings):
    return lambda: SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * 4, **settings)


@pytest.mark.parametrize("mode", AutoresetMode)
def test_a_vector_of_environments_plays_the_same_episodes(mode):
    alone = rollout(GymnasiumWorld("CartPole-v1"), LEANING, rng=5, episodes=10, steps=60)
    assert alone.terminated.any()
    assert not alone.terminated.all()
    together = GymnasiumWorld(vector(autoreset_mode=mode))
    assert (together.name, together.control_period, together.steps) == ("CartPole-v1", 0.02, 500)
    assert equal(rollout(together, LEANING, rng=5, episodes=10, steps=60), alone)


def test_environments_in_other_processes_play_the_same_episodes():
    def make():
        return gymnasium.make_vec("Pendulum-v1", num_envs=2, vectorization_mode="async")

    def set_mass(environments, row):
        environments.set_attr("m", row["mass"])

    members = Randomization.from_table({"mass": {"scale": [0.5, 2.0]}}).draw(3, rng=0)
    settings = {"rng": 2, "fibre": members, "steps": 20}
    several = GymnasiumWorld(make, configure=set_mass, parameters={"mass": 1.0})
    assert several.control_period == 0.05
    assert equal(rollout(several, SWING, **settings), rollout(pendulums(), SWING, **settings))


@settings(max_examples=25, deadline=None)
@given(environments=st.integers(1, 9), episodes=st.integers(1, 5), seed=st.integers(0, 2**32))
def test_the_number_of_environments_changes_nothing(environments, episodes, seed):
    members = Randomization.from_table({"mass": {"set": [0.5, 2.0]}}).draw(2, rng=seed)
    settings = {"rng": seed, "fibre": members, "episodes": episodes, "steps": 8}
    one = rollout(pendulums(environments=1, noise=0.1), SWING, **settings)
    many = rollout(pendulums(environments=environments, noise=0.1), SWING, **settings)
    assert equal(one, many)
    assert one.observations.tobytes() == many.observations.tobytes()


# --- parameters


def pendulums(**settings):
    def set_mass(environment, row):
        environment.unwrapped.m = row["mass"]

    return GymnasiumWorld("Pendulum-v1", configure=set_mass, parameters={"mass": 1.0}, **settings)


@pytest.mark.parametrize(("mode", "number", "gain"), [("scale", 3.0, 6.0), ("shift", -0.5, 1.5), ("set", 0.25, 0.25)])
def test_parameters_reach_the_environment(mode, number, gain):
    def configure(environment, row):
        environment.gain = row["gain"]

    world = stairs(configure=configure, parameters={"gain": 2.0}, environments=1)
    done = climb(world, fibre=Ensemble.single({"gain": {mode: number}}))
    assert done.rewards[:, 0].tolist() == [gain] * 4
    # the next rollout, and the next member in the same environment, begin from the nominal value again
    assert climb(world).rewards[:, 0].tolist() == [2.0] * 4
    drawn = Randomization.from_table({"gain": {"scale": [0.5, 1.5]}}).draw(3, rng=0)
    several = climb(world, fibre=drawn, episodes=2)
    assert several.rewards[:, 0].tolist() == np.repeat(2.0 * drawn.values[:, 0], 2).tolist()
    assert several.member_index.tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("settings", "changed", "message"),
    [
        ({}, "mass", "world 'stair' has no parameter 'mass', as nobody said how to change it: give it a function conf"),
        ({"parameters": {"mass": 1.0}, "configure": print}, "mas", "unknown parameter 'mas': did you mean 'mass'?"),
    ],
)
def test_parameters_that_the_world_does_not_have(settings, changed, message):
    with pytest.raises(WorldError, match=message.replace("?", r"\?")):
        climb(stairs(**settings), fibre=Ensemble.single({changed: {"scale": 2.0}}))


def test_a_configure_that_fails_is_an_error_with_its_row():
    def configure(environment, row):
        environment.gain = 1 / row["gain"]

    world = stairs(configure=configure, parameters={"gain": 1.0})
    with pytest.raises(WorldError, match=r"'stair': configure failed on \{'gain': 0.0\}: ZeroDivisionError: float div"):
        climb(world, fibre=Ensemble.single({"gain": {"set": 0.0}}))


# --- environments that break


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ("raise", "control step 3: RuntimeError: the motor is on fire"),
        ("observation", "control step 3: sensor 'observation[0]' reads nan"),
        ("reward", "control step 3: the reward is inf"),
        ("shape", "control step 3: ValueError: an observation of 5 numbers, where the observation space has 2"),
    ],
)
@pytest.mark.parametrize("environments", [1, 3])
def test_a_broken_episode_ends_before_the_bad_step_and_says_why(trouble, reason, environments):
    done, whole = climb(stairs(trouble=trouble, environments=environments), episodes=8), climb(stairs(), episodes=8)
    odd = done.observations[:, 0, 1] % 2 == 1
    assert odd.any()
    assert not odd.all()
    assert done.diverged.tolist() == odd.tolist()
    assert done.reasons == tuple(reason if bad else "" for bad in odd)
    assert done.lengths.tolist() == np.where(odd, 3, 6).tolist()
    assert not done.terminated.any()
    for name in ("observations", "actions", "rewards"):
        ours, theirs = getattr(done, name), getattr(whole, name)
        assert np.array_equal(ours[~odd], theirs[~odd])
        kept = 4 if name == "observations" else 3
        assert np.array_equal(ours[odd][:, :kept], theirs[odd][:, :kept])
        assert np.isnan(ours[odd][:, kept:]).all()


def test_an_environment_that_cannot_even_start():
    def configure(environment, row):
        environment.reset = None if row["dead"] else Stair.reset.__get__(environment)

    world = stairs(configure=configure, parameters={"dead": 0.0}, environments=1)
    members = Ensemble(("dead",), ("set",), np.array([[0.0], [1.0], [0.0]]), np.full(3, 1 / 3))
    done = climb(world, fibre=members, episodes=2)
    assert done.diverged.tolist() == [False, False, True, True, False, False]
    assert done.lengths.tolist() == [6, 6, 0, 0, 6, 6]
    assert done.reasons[2] == "reset: TypeError: 'NoneType' object is not callable"
    assert climb(world, fibre=Ensemble.single({"dead": {"set": 1.0}})).actions.shape == (4, 0, 2)


def test_an_environment_that_broke_is_not_used_again():
    class Fragile(Stair):
        broken = False

        def reset(self, *, seed=None, options=None):
            assert not self.broken
            return super().reset(seed=seed)

        def step(self, action):
            try:
                return super().step(action)
            except RuntimeError:
                self.broken = True
                raise

    world = GymnasiumWorld(lambda: Fragile(trouble="raise"), control_period=0.1, steps=6, environments=1)
    done = climb(world, episodes=8)
    assert 0 < done.diverged.sum() < 8
    assert not any("reset" in reason for reason in done.reasons)


@pytest.mark.parametrize("trouble", ["raise", "observation"])
def test_in_a_vector_only_what_it_shows_belongs_to_an_episode(trouble):
    def make():
        return SyncVectorEnv([lambda: Stair(trouble=trouble)] * 3)

    world = GymnasiumWorld(make, name="stairs", control_period=0.1, steps=6)
    if trouble == "raise":
        with pytest.raises(WorldError, match=r"failed in step \(RuntimeError: the motor is on fire\) and cannot say"):
            climb(world, episodes=8)
    else:
        assert equal(climb(world, episodes=8), climb(stairs(trouble=trouble), episodes=8))


def test_reasons_stay_with_their_episodes(tmp_path):
    done = climb(stairs(trouble="raise"), episodes=8, name="climber")
    path = tmp_path / "log.parquet"
    write_log(path, done)
    again = read_log(path)
    assert equal(again, done)
    assert again.reasons == done.reasons
    assert done.select(done.diverged).reasons == ("control step 3: RuntimeError: the motor is on fire",) * sum(
        done.diverged
    )
    silent = replace(climb(stairs(), episodes=2), reasons=())
    assert concatenate([silent, silent]).reasons == ()
    assert concatenate([silent, done]).reasons == ("", "", *done.reasons)


class NeverStarts(Stair):
    """Shows NaN for the height after every reset with an odd seed."""

    def reset(self, *, seed=None, options=None):
        seen, info = super().reset(seed=seed)
        return seen if seed % 2 == 0 else np.array([np.nan, float(seed)]), info


def test_an_episode_that_never_starts_is_blank():
    world = GymnasiumWorld(NeverStarts, name="stair", control_period=0.1, steps=6, sensors=["height", "seed"])
    done = climb(world, episodes=8)
    assert set(done.reasons) == {"", "reset: sensor 'height' reads nan"}
    assert (done.lengths[done.diverged] == 0).all()
    assert np.isnan(done.observations[done.diverged]).all()
    assert (done.lengths[~done.diverged] == 6).all()
    assert np.isfinite(done.observations[~done.diverged]).all()
