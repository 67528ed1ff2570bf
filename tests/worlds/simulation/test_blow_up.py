"""A simulation that blows up ends before its bad step, alone and in silence (the silence is checked for every test)."""

from __future__ import annotations

import numpy as np
import pytest
from rig import RIG, Scripted, equal, members, rig_world

from sim2real_cat.errors import WorldError
from sim2real_cat.training.random_search import RandomSearch, train
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.simulation.simulator import Simulator

STEPS = 20
VIOLENT = 1  # the episode whose cart is pushed too hard
PUSHES = {
    "acceleration": (1.0, 1e14),
    "control beyond all bounds": (1e200, 1.0),
    "overflow": (1e9, 1e300),
}
"""How hard the motor is pushed, and its gear."""


def world(tmp_path, gear=1.0, **task):
    text = RIG.replace('<motor name="push"', f'<motor gear="{gear:g}" name="push"')
    return rig_world(tmp_path, text=text, substeps=2, noise=0.01, start_noise=0.1, **task)


def plan(push=0.0, step=0):
    """Actions of three episodes that twist the arm at random; in the violent one the cart is pushed from a step on."""
    actions = np.random.default_rng(0).uniform(-1, 1, (3, STEPS, 2))
    actions[:, :, 0] = 0.0
    actions[VIOLENT, step:, 0] = push
    return Scripted(actions)


def played(tmp_path, policy, gear=1.0, threads=1, **task):
    return rollout(world(tmp_path, gear, **task), policy, rng=0, episodes=3, threads=threads)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("step", [0, 7, STEPS - 2, STEPS - 1])
@pytest.mark.parametrize("kind", PUSHES)
def test_the_episode_ends_before_the_bad_step(tmp_path, kind, step, threads):
    push, gear = PUSHES[kind]
    done = played(tmp_path, plan(push, step), gear, threads)
    assert done.diverged.tolist() == [False, True, False]
    assert done.lengths.tolist() == [STEPS, step, STEPS]
    assert not done.terminated.any()
    assert (np.abs(done.qpos[VIOLENT, : step + 1]) < 1e3).all()
    assert np.isfinite(done.observations[VIOLENT, : step + 1]).all()
    assert np.isfinite(done.actions[VIOLENT, :step]).all()
    for frames in (done.observations, done.qpos, done.qvel):
        assert np.isnan(frames[VIOLENT, step + 1 :]).all()
    for steps in (done.actions, done.rewards):
        assert np.isnan(steps[VIOLENT, step:]).all()


@pytest.mark.parametrize("kind", PUSHES)
def test_the_others_do_not_notice(tmp_path, kind):
    push, gear = PUSHES[kind]
    others = np.array([0, 2])
    beside = played(tmp_path, plan(push, 5), gear).select(others)
    alone = played(tmp_path, plan(), gear).select(others)
    assert equal(beside, alone)


def test_a_state_that_only_the_last_substep_made_bad_is_found(tmp_path):
    """Runge-Kutta's later stages pass MuJoCo's own checks, which it makes at the start of a step.

    The spring pulls with at most 1e9 m/s2 at the start, but each stage overshoots the one before.
    """
    text = RIG.replace("<option", '<option integrator="RK4"').replace('stiffness="8.0"', 'stiffness="2e10"')
    violent = rig_world(tmp_path, text=text, start_noise=0.1)
    violent.task.fresh = False  # as Gymnasium's tasks: nothing is computed, and so checked, at the new state
    done = rollout(violent, plan(), rng=0, episodes=3, steps=1)
    assert done.diverged.all()
    assert done.lengths.tolist() == [0, 0, 0]


def test_a_diverged_episode_is_not_learned_from(tmp_path):
    done = played(tmp_path, plan(1.0, 4), 1e14)
    assert len(done.episodes) == 2
    assert [len(episode) for episode in done.episodes] == [STEPS + 1] * 2
    assert done.kept.tolist() == [True, False, True]
    assert done.member_index[done.kept].tolist() == [0, 0]


def test_a_diverged_simulation_starts_afresh(tmp_path):
    simulator = Simulator(world(tmp_path, 1e14), member_index=np.zeros(3, dtype=np.int64), threads=1)

    def run(policy):
        return simulator.run(policy, STEPS, [np.random.default_rng(i) for i in range(3)])

    first, bad, again = run(plan()), run(plan(1.0, 3)), run(plan())
    assert bad.diverged.tolist() == [False, True, False]
    assert equal(first, again)


def test_all_episodes_may_diverge(tmp_path):
    blown = rollout(world(tmp_path, 1e14), Scripted(np.ones((2, STEPS, 2))), rng=0, episodes=2)
    assert blown.diverged.all()
    assert blown.lengths.tolist() == [0, 0]
    assert blown.observations.shape == (2, 1, 4)
    assert blown.actions.shape == (2, 0, 2)
    assert blown.episodes == []


def test_only_the_member_with_absurd_parameters_diverges(tmp_path):
    stiff = members("jnt_stiffness[coil]", "scale", [1.0, 1e12, 1.0])
    done = rollout(world(tmp_path), plan(), rng=0, fibre=stiff)
    assert done.diverged.tolist() == [False, True, False]


def test_training_goes_on_without_the_members_that_diverge(tmp_path):
    settings = RandomSearch(iterations=2, directions=2, top=2, steps=STEPS)
    stiff = members("jnt_stiffness[coil]", "scale", [1.0, 1e12])
    result = train(world(tmp_path, alive=1.0), settings, rng=0, fibre=stiff, threads=1)
    assert np.isfinite(result.policy.gain).all()


def test_training_where_everything_diverges_is_refused(tmp_path):
    stiff = Ensemble.single({"jnt_stiffness[coil]": {"scale": 1e14}})
    settings = RandomSearch(iterations=1, directions=2, top=2, steps=STEPS)
    with pytest.raises(WorldError, match="every episode diverged while training in world 'rig'; soften"):
        train(world(tmp_path, alive=1.0), settings, rng=0, fibre=stiff, threads=1)
