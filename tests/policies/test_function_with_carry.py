from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rig import equal

from sim2real_cat.errors import PolicyError
from sim2real_cat.policies.function import RecurrentPolicy
from sim2real_cat.policies.policy import LinearPolicy
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.world import World


def summing(observations, total):
    """Answers the sum of all observations so far."""
    total = total + observations
    return total, total


def test_every_episode_remembers_its_own():
    policy = RecurrentPolicy(summing, np.zeros(2), name="sum")
    rng = np.random.default_rng(0)
    plan = rng.standard_normal((6, 3, 2))
    acting = policy.start(3)
    for step, rows in enumerate(plan):
        actions = acting.act(rows, np.arange(3), step)
        np.testing.assert_allclose(actions, plan[: step + 1].sum(axis=0))


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 5), st.data())
def test_who_has_ended_disturbs_nobody(n, data):
    """Whatever subset acts in a step, an episode's actions are those it would have alone."""
    policy = RecurrentPolicy(summing, np.zeros(1), name="sum")
    together, alone = policy.start(n), [policy.start(1) for _ in range(n)]
    for step in range(6):
        episodes = np.array(sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1))))
        rows = np.array([[float(10 * step + i)] for i in episodes])
        actions = together.act(rows, episodes, step)
        for row, episode, action in zip(rows, episodes, actions, strict=True):
            assert alone[episode].act(row[None], np.array([0]), step).tolist() == [action.tolist()]


def test_every_rollout_starts_afresh_and_the_policy_does_not_change():
    world = World.gymnasium("InvertedPendulum", noise=0.02)
    gain = np.array([[0.3, 0.9, 0.1, 0.2]])

    def filtered(rows, carry):
        level = 0.9 * carry["level"] + 0.1 * rows
        return level @ gain.T, {"level": level, "steps": (carry["steps"][0] + 1,)}

    initial = {"level": np.zeros(4), "steps": (np.array(0),)}
    policy = RecurrentPolicy(filtered, initial, name="filter")
    first, second = (rollout(world, policy, rng=3, episodes=8, steps=60) for _ in range(2))
    assert equal(first, second)
    assert first.lengths.min() < first.lengths.max(), "episodes have to end at different times"
    assert initial["steps"][0] == 0


def test_without_memory_it_is_the_function(rig):
    linear = LinearPolicy(np.ones((2, 4)), np.zeros(4), np.ones(4))
    policy = RecurrentPolicy(lambda rows, carry: (linear.act(rows, np.arange(len(rows)), 0), carry), (), name="none")
    assert equal(rollout(rig, policy, rng=0, episodes=2), rollout(rig, linear, rng=0, episodes=2))


def test_a_function_may_write_into_its_arguments(rig):
    def spoiling(rows, carry):
        actions = np.stack([carry, rows[:, 0]], axis=1)
        carry += 1.0
        rows[:] = 7.0
        return actions, carry

    initial = np.array(0.5)
    done = rollout(rig, RecurrentPolicy(spoiling, initial, name="spoiling"), rng=0, steps=3)
    assert done.actions[0, :, 0].tolist() == [0.5, 1.5, 2.5]
    assert done.observations.max() < 7.0
    assert initial == 0.5


@pytest.mark.parametrize(
    ("after", "message"),
    [
        (lambda carry: carry[:, :1], r"float64 \(2, 3\), but its function answered float64 \(2, 1\)"),
        (lambda carry: carry[0], r"but its function answered float64 \(3,\)"),
        (lambda carry: (carry, carry), r"answered float64 \(2, 3\), float64 \(2, 3\)"),
        (lambda carry: (carry,), "keep the form of its carry"),
        (lambda carry: carry.astype(complex), "answered complex128"),
        (lambda carry: (), "answered nothing"),
    ],
)
def test_a_carry_keeps_its_form(after, message):
    policy = RecurrentPolicy(lambda rows, carry: (rows, after(carry)), np.zeros(3), name="odd")
    with pytest.raises(PolicyError, match=message):
        policy.start(2).act(np.zeros((2, 1)), np.arange(2), 5)


@pytest.mark.parametrize(
    ("function", "shown"),
    [
        (lambda rows, carry: rows, "ndarray"),  # of two rows, as a pair has
        (lambda rows, carry: None, "NoneType"),
        (lambda rows, carry: (rows, carry, 1), "tuple of 3"),
    ],
)
def test_a_function_that_forgets_its_carry(function, shown):
    policy = RecurrentPolicy(function, np.zeros(1), name="forgetful")
    with pytest.raises(PolicyError, match=rf"control step 5: .* tuple \(actions, carry\), it answered {shown}$"):
        policy.start(2).act(np.zeros((2, 1)), np.arange(2), 5)


def test_actions_are_numbers():
    policy = RecurrentPolicy(lambda rows, carry: ("left", carry), np.zeros(1), name="odd")
    with pytest.raises(PolicyError, match="function of policy 'odd' needs numbers, got str"):
        policy.start(2).act(np.zeros((2, 1)), np.arange(2), 0)


def test_whole_numbers_are_not_cut_off_in_silence():
    policy = RecurrentPolicy(lambda rows, carry: (rows, carry + 0.5), np.array(0), name="half")
    with pytest.raises(PolicyError, match=r"int64 \(1,\), but its function answered float64"):
        policy.start(1).act(np.zeros((1, 1)), np.arange(1), 0)


def test_what_is_no_recurrent_policy():
    with pytest.raises(PolicyError, match=r"call start\(number of episodes\)"):
        RecurrentPolicy(summing, np.zeros(1), name="sum").act(np.zeros((1, 1)), np.arange(1), 0)
    with pytest.raises(PolicyError, match="must be arrays of numbers"):
        RecurrentPolicy(summing, np.array("text"), name="sum")
    with pytest.raises(PolicyError, match="needs something to call"):
        RecurrentPolicy(3, np.zeros(1), name="sum")
    with pytest.raises(PolicyError, match="or name="):
        RecurrentPolicy(summing, np.zeros(1))


def test_the_digest_survives_the_start():
    policy = RecurrentPolicy(summing, np.zeros(1), content=b"weights")
    assert policy.start(3).digest == policy.digest
