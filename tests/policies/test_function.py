from __future__ import annotations

import hashlib

import numpy as np
import pytest
from rig import equal, rig_world

from sim2real_cat.errors import PolicyError
from sim2real_cat.policies.function import CallablePolicy
from sim2real_cat.policies.policy import LinearPolicy
from sim2real_cat.worlds.simulation.rollout import rollout


@pytest.fixture
def linear():
    return LinearPolicy(np.array([[1.0, -1.0, 0.5, 0.0], [0.0, 2.0, 0.0, 1.0]]), np.zeros(4), np.ones(4))


def test_a_function_acts_as_the_policy_it_computes(rig, linear):
    function = CallablePolicy(lambda rows: linear.act(rows, np.arange(len(rows)), 0), name="linear")
    single = CallablePolicy.one_by_one(lambda row: linear.act(row[None], np.arange(1), 0)[0], name="linear")
    reference = rollout(rig, linear, rng=0, episodes=3)
    assert equal(rollout(rig, function, rng=0, episodes=3), reference)
    assert equal(rollout(rig, single, rng=0, episodes=3), reference)


def test_a_function_may_write_into_its_argument(rig):
    def spoiling(rows):
        rows[:] = 7.0
        return np.zeros((len(rows), 2))

    done = rollout(rig, CallablePolicy(spoiling, name="spoiling"), rng=0)
    still = rollout(rig, CallablePolicy(lambda rows: np.zeros((len(rows), 2)), name="still"), rng=0)
    assert equal(done, still)


def test_lists_and_whole_numbers_are_actions(rig):
    policy = CallablePolicy(lambda rows: [[1, 2]] * len(rows), name="ones")
    assert rollout(rig, policy, rng=0, steps=2).actions.tolist() == [[[1.0, 2.0]] * 2]


def test_the_digest_is_of_what_was_said():
    def function(rows):
        return rows

    content = CallablePolicy(function, content=b"weights")
    assert content.digest == hashlib.sha256(b"weights").hexdigest()
    assert CallablePolicy(function, name="a", content=b"weights").digest == content.digest
    names = {CallablePolicy(function, name=name).digest for name in ("a", "b")}
    assert len(names | {CallablePolicy(function, content=b"a").digest}) == 3
    with pytest.raises(PolicyError, match=r"content=\.\.\. \(bytes that decide how it acts\) or name="):
        CallablePolicy(function)


@pytest.mark.parametrize("make", [CallablePolicy, CallablePolicy.one_by_one])
def test_what_cannot_be_called(make):
    with pytest.raises(PolicyError, match="needs something to call, got ndarray"):
        make(np.ones(3), name="array")


def test_answers_of_the_wrong_shape(tmp_path):
    world = rig_world(tmp_path)
    with pytest.raises(PolicyError, match=r"expects actions of shape \(2, 2\), the policy answered \(2, 4\)"):
        rollout(world, CallablePolicy(lambda rows: rows, name="echo"), rng=0, episodes=2)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda rows: None, "the answer of the function of policy 'odd' needs numbers, got NoneType"),
        (lambda rows: "left", "needs numbers, got str"),
        (lambda rows: [["1", "2"]] * len(rows), r"needs numbers, got text of shape \(2, 2\)"),
        (lambda rows: [[1.0], [1.0, 2.0]], "needs numbers in an array"),
        (lambda rows: rows + 1j, r"needs numbers, got complex128 of shape \(2, 4\)"),
    ],
)
def test_answers_that_are_no_numbers(rig, answer, message):
    with pytest.raises(PolicyError, match=message) as caught:
        rollout(rig, CallablePolicy(answer, name="odd"), rng=0, episodes=2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("answers", [[None, None], ["left", "right"], [[1.0], [1.0, 2.0]]])
def test_single_answers_that_are_no_numbers(rig, answers):
    given = iter(answers)
    policy = CallablePolicy.one_by_one(lambda row: next(given), content=b"odd")
    with pytest.raises(PolicyError, match="the answer of a policy's function needs numbers"):
        rollout(rig, policy, rng=0, episodes=2)
