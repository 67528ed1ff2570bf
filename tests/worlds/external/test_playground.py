"""A task of MuJoCo Playground as a world: the episodes of its own reset and step, whatever runs beside them."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest
from rig import Constant, Scripted, equal

from sim2real_cat.errors import PolicyError, WorldError
from sim2real_cat.recordings.logs.reader import read_log
from sim2real_cat.recordings.parquet import write_log
from sim2real_cat.worlds.external.playground import playground_world
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.simulation.rollout import rollout

MISSING = importlib.util.find_spec("mujoco_playground") is None
needs_playground = pytest.mark.skipif(
    MISSING, reason="playground is not installed: pip install 'sim2real-cat[playground]'"
)
pytestmark = [
    pytest.mark.slow,  # two programs are compiled
    pytest.mark.filterwarnings("ignore:JAXopt is no longer maintained:DeprecationWarning"),  # brax needs it
]
STEPS = 12
MASS, GRAVITY = 0.1, -9.81


def set_pole(model, row):
    model.body("pole_1").mass[:] = row["pole mass"]
    model.opt.gravity[2] = row["gravity"]


@pytest.fixture(scope="module")
def plain():
    return playground_world("CartpoleBalance", environments=3)


@pytest.fixture(scope="module")
def varied():
    return playground_world(
        "CartpoleBalance", environments=3, configure=set_pole, parameters={"pole mass": MASS, "gravity": GRAVITY}
    )


def plan(episodes):
    return Scripted(np.random.default_rng(0).uniform(-1, 1, (episodes, STEPS, 1)))


def play(world, episodes=2, **settings):
    return rollout(
        world, plan(episodes * len(settings.get("fibre", [0]))), rng=4, episodes=episodes, steps=STEPS, **settings
    )


@needs_playground
def test_the_episodes_of_playgrounds_own_reset_and_step(plain):
    import jax
    from mujoco_playground import dm_control_suite

    environment = dm_control_suite.load("CartpoleBalance", config_overrides={"impl": "jax"})
    reset, step = jax.jit(environment.reset), jax.jit(environment.step)
    done = play(plain)
    assert (plain.control_period, plain.steps, plain.actuators) == (0.01, 1000, ("slide",))
    assert done.lengths.tolist() == [STEPS] * 2
    seeds = [int(generator.integers(2**31)) for generator in np.random.default_rng(4).spawn(2)]
    for episode, seed in enumerate(seeds):
        state = reset(jax.random.PRNGKey(seed))
        np.testing.assert_allclose(done.observations[episode, 0], state.obs, rtol=0, atol=1e-6)
        for t in range(STEPS):
            state = step(state, done.actions[episode, t].astype(np.float32))
            np.testing.assert_allclose(done.observations[episode, t + 1], state.obs, rtol=0, atol=1e-5)
            np.testing.assert_allclose(done.rewards[episode, t], state.reward, rtol=0, atol=1e-5)
        np.testing.assert_allclose(done.qpos[episode, -1], state.data.qpos, rtol=0, atol=1e-5)
        np.testing.assert_allclose(done.qvel[episode, -1], state.data.qvel, rtol=0, atol=1e-5)


@needs_playground
def test_the_number_of_episodes_changes_nothing_and_the_log_keeps_all(plain, tmp_path):
    five, two = play(plain, 5), play(plain, 2)
    assert equal(five.select(np.arange(2)), two)
    assert equal(play(plain, 5), five)
    write_log(tmp_path / "log.parquet", five)
    assert equal(read_log(tmp_path / "log.parquet"), five)


@needs_playground
def test_parameters_reach_the_physics(plain, varied):
    members = Ensemble(("gravity",), ("scale",), np.array([[1.0], [0.0]]), np.full(2, 0.5))
    done = play(varied, fibre=members)
    nominal = play(plain)
    np.testing.assert_allclose(done.qpos[:2], nominal.qpos, rtol=0, atol=1e-5)
    assert np.abs(done.qpos[2:, -1] - done.qpos[:2, -1]).max() > 1e-3
    # without gravity and force nothing pulls: the pole turns on as it began
    still = rollout(varied, Constant(np.zeros(1)), rng=4, fibre=members, episodes=2, steps=STEPS).qvel[2:, :, 1]
    np.testing.assert_allclose(still, still[:, :1] * np.ones(STEPS + 1), rtol=0, atol=1e-4)


@needs_playground
def test_what_cannot_be_played_is_refused(plain):
    with pytest.raises(
        WorldError, match=r"unknown Playground task 'CartpoleBalence': did you mean 'CartpoleBalance'\?"
    ):
        playground_world("CartpoleBalence")
    with pytest.raises(PolicyError, match=r"expects actions of shape \(1, 1\), the policy answered \(1, 2\)"):
        rollout(plain, Constant(np.zeros(2)), rng=0)
    with pytest.raises(WorldError, match="has no parameter 'mass'"):
        play(plain, fibre=Ensemble.single({"mass": {"scale": 2.0}}))

    def faster(model, row):
        model.opt.timestep = row["timestep"]

    hasty = playground_world("CartpoleBalance", configure=faster, parameters={"timestep": 0.005}, environments=1)
    with pytest.raises(WorldError, match="the control period hangs on the timestep"):
        play(hasty)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco_playground", None)
    with pytest.raises(WorldError, match=r"need the package playground .*pip install 'sim2real-cat\[playground\]'"):
        playground_world("CartpoleBalance")
