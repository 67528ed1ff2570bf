from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
import pytest
from rig import Constant, Scripted, equal

from sim2real_cat.errors import PolicyError, WorldError
from sim2real_cat.policies.policy import LinearPolicy
from sim2real_cat.worlds.engine_log import compiling
from sim2real_cat.worlds.randomization.change import Change
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.tasks.task import State
from sim2real_cat.worlds.world import World

VARIED = Randomization(
    {
        "body_inertial[torso]": Change("scale", 0.7, 1.3),
        "geom_friction[*foot*, 0]": Change("scale", 0.5, 1.5),
        "dof_damping": Change("scale", 0.5, 2.0),
        "actuator_gear[:, 0]": Change("scale", 0.8, 1.2),
        "actuator_delay": Change("set", 0.0, 0.02),
        "observation_bias": Change("shift", -0.01, 0.01),
    }
)


def random_policy(world, seed=0, size=0.1):
    """A linear policy with small random weights."""
    d, nu = len(world.sensors), int(world.compile().nu)
    return LinearPolicy(size * np.random.default_rng(seed).standard_normal((nu, d)), np.zeros(d), np.ones(d))


@pytest.fixture(scope="module")
def hopper():
    return World.gymnasium("Hopper", noise=0.01)


@pytest.fixture(scope="module")
def varied():
    return VARIED.draw(6, rng=np.random.default_rng(1))


@pytest.mark.parametrize("until_terminated", [True, False])
def test_same_seed_same_bytes_at_any_number_of_threads(hopper, varied, until_terminated):
    settings = {"rng": 5, "fibre": varied, "episodes": 3, "steps": 80, "until_terminated": until_terminated}
    one = rollout(hopper, random_policy(hopper), threads=1, **settings)
    two = rollout(hopper, random_policy(hopper), threads=2, **settings)
    assert equal(one, two)
    assert one.observations.tobytes() == two.observations.tobytes()
    assert equal(one, rollout(hopper, random_policy(hopper), **settings))


def test_another_seed_is_another_rollout(hopper):
    one, two = (rollout(hopper, random_policy(hopper), rng=seed, steps=5) for seed in (0, 1))
    assert not np.array_equal(one.observations, two.observations)


def test_a_generator_goes_on_where_it_stopped(hopper):
    rng = np.random.default_rng(0)
    one, two = (rollout(hopper, random_policy(hopper), rng=rng, steps=5) for _ in range(2))
    assert equal(one, rollout(hopper, random_policy(hopper), rng=0, steps=5))
    assert not np.array_equal(one.observations, two.observations)


@pytest.mark.parametrize("beside", [1, 4, 9])
def test_an_episode_does_not_depend_on_its_neighbours(hopper, beside):
    alone = rollout(hopper, random_policy(hopper), rng=2, episodes=1, steps=60)
    among = rollout(hopper, random_policy(hopper), rng=2, episodes=beside, steps=60).select(np.array([0]))
    assert among.lengths[0] == alone.lengths[0]
    assert np.array_equal(among.observations[:, : alone.lengths[0] + 1], alone.observations)


def test_the_loop_is_closed_over_the_noisy_observations(hopper, varied):
    policy = random_policy(hopper)
    done = rollout(hopper, policy, rng=3, fibre=varied, episodes=2, steps=100)
    for i, length in enumerate(done.lengths):
        answered = policy.act(done.observations[i, :length], np.arange(length), 0)
        np.testing.assert_allclose(done.actions[i, :length], answered, rtol=0, atol=1e-12)
    assert (done.observations[:, 0] != hopper.task.observe(_states(done, 0))).all(), "the policy must see noise"


def _states(done, step):
    return State(done.qpos[:, step], done.qvel[:, step])


def test_episodes_stop_where_the_task_ends_them(hopper):
    done = rollout(hopper, random_policy(hopper), rng=0, episodes=16, steps=400)
    assert done.terminated.all()
    assert len(set(done.lengths.tolist())) > 1
    assert done.observations.shape[1] == done.lengths.max() + 1
    for i, length in enumerate(done.lengths):
        ended = [bool(hopper.task.terminated(_states(done.select(np.array([i])), t))[0]) for t in range(1, length + 1)]
        assert ended == [False] * (length - 1) + [True]


def test_past_the_end_there_is_nothing(hopper):
    done = rollout(hopper, random_policy(hopper), rng=0, episodes=8, steps=400)
    for i, length in enumerate(done.lengths):
        for frames in (done.observations, done.qpos, done.qvel):
            assert np.isfinite(frames[i, : length + 1]).all()
            assert np.isnan(frames[i, length + 1 :]).all()
        for steps in (done.actions, done.rewards):
            assert np.isfinite(steps[i, :length]).all()
            assert np.isnan(steps[i, length:]).all()


def test_without_stopping_only_the_flag_tells_of_the_end(hopper):
    stopped, going = (
        rollout(hopper, random_policy(hopper), rng=0, episodes=4, steps=300, until_terminated=flag)
        for flag in (True, False)
    )
    assert going.lengths.tolist() == [300] * 4
    assert going.terminated.tolist() == stopped.terminated.tolist() == [True] * 4
    for i, length in enumerate(stopped.lengths):
        assert np.array_equal(going.qpos[i, : length + 1], stopped.qpos[i, : length + 1])


def edited(model, row):
    """The same changes by plain MuJoCo: fields of the model written by hand, constants recomputed."""
    feet = [i for i in range(model.ngeom) if "foot" in model.geom(i).name]
    torso = model.body("torso").id
    for field in (model.body_mass, model.body_inertia):
        field[torso] *= row["body_inertial[torso]"]
    model.geom_friction[feet, 0] *= row["geom_friction[*foot*, 0]"]
    model.dof_damping[:] *= row["dof_damping"]
    model.actuator_gear[:, 0] *= row["actuator_gear[:, 0]"]
    model.actuator_delay[:] = row["actuator_delay"]
    mujoco.mj_setConst(model, mujoco.MjData(model))
    return model


def test_every_member_is_the_world_that_plain_mujoco_makes(hopper, varied):
    """One MjData at a time through mj_step, on models edited by hand, with the actions that were recorded."""
    done = rollout(hopper, random_policy(hopper, size=1.0), rng=4, fibre=varied, steps=150, until_terminated=False)
    for member in range(len(varied)):
        with compiling():
            spec = mujoco.MjSpec.from_file(str(hopper.path))
            for actuator in spec.actuators:
                actuator.nsample = 64
            model = edited(spec.compile(), varied.row(member))
        data = mujoco.MjData(model)
        data.qpos, data.qvel = done.qpos[member, 0], done.qvel[member, 0]
        mujoco.mj_forward(model, data)
        for step, action in enumerate(done.actions[member]):
            data.ctrl = action
            mujoco.mj_step(model, data, hopper.substeps)
            np.testing.assert_allclose(data.qpos, done.qpos[member, step + 1], rtol=0, atol=1e-12)
            np.testing.assert_allclose(data.qvel, done.qvel[member, step + 1], rtol=0, atol=1e-12)


def test_members_come_in_order_with_their_episodes(hopper, varied):
    done = rollout(hopper, random_policy(hopper), rng=0, fibre=varied, episodes=2, steps=2, name="mine")
    assert done.member_index.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert done.policies == ("mine",) * 12
    assert done.actuators == ("actuator 0", "actuator 1", "actuator 2")  # unnamed in the model


def test_progress_counts_the_steps(rig):
    seen = []
    rollout(rig, Constant(np.zeros(2)), rng=0, steps=4, progress=seen.append)
    assert seen == [1, 2, 3, 4]


def test_the_task_says_how_long_an_episode_is(rig):
    assert rollout(rig, Constant(np.zeros(2)), rng=0).lengths.tolist() == [20]


@pytest.mark.parametrize("settings", [{"episodes": 0}, {"steps": 0}, {"episodes": -1}])
def test_nothing_asked_for_is_refused(rig, settings):
    with pytest.raises(WorldError, match="at least one episode and one step, got"):
        rollout(rig, Constant(np.zeros(2)), rng=0, **settings)


@dataclass(frozen=True, eq=False)
class Late(Scripted):
    """A scripted policy whose answers are of another shape or value from its third step on."""

    answer: np.ndarray

    def act(self, observations, episodes, step):
        return self.answer if step == 2 else super().act(observations, episodes, step)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.zeros((3, 3)), r"world 'rig' expects actions of shape \(3, 2\), the policy answered \(3, 3\)"),
        (np.zeros(2), r"expects actions of shape \(3, 2\), the policy answered \(2,\)"),
        (np.array([[0, 0], [0, np.nan], [0, 0]]), "answered nan for actuator 'twist' in episode 1, control step 2"),
        (np.array([[0, 0], [0, 0], [-np.inf, 0]]), "answered -inf for actuator 'push' in episode 2, control step 2"),
    ],
)
def test_a_policy_that_answers_nonsense_is_refused(rig, answer, message):
    with pytest.raises(PolicyError, match=message) as caught:
        rollout(rig, Late(np.zeros((3, 20, 2)), answer), rng=0, episodes=3)
    assert "\n" not in str(caught.value)
