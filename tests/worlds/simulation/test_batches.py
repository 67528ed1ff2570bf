"""Same seed, same bytes: at any number of threads, stepped in batches of any size, in memory or to a file."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rig import Constant, Scripted, equal, members, rig_world

from sim2real_cat.errors import PolicyError, WorldError
from sim2real_cat.policies.files import ActionTable
from sim2real_cat.policies.policy import LinearPolicy, Policy
from sim2real_cat.recordings.logs.reader import read_log
from sim2real_cat.recordings.parquet import iterate_log, write_log
from sim2real_cat.recordings.trajectories import concatenate
from sim2real_cat.worlds.randomization.change import Change
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.simulation import rollout as rollout_module
from sim2real_cat.worlds.simulation.rollout import rollout, rollout_to_parquet
from sim2real_cat.worlds.simulation.simulator import Simulator
from sim2real_cat.worlds.world import World

VARIED = Randomization(
    {
        "body_mass[cart]": Change("scale", 0.5, 2.0),
        "actuator_delay": Change("set", 0.0, 0.03),
        "observation_noise": Change("scale", 0.5, 2.0),
        "observation_bias[qpos[coil]]": Change("shift", -0.1, 0.1),
    }
)
EPISODES = 3


@dataclass(frozen=True, eq=False)
class Pushing(Policy):
    """Feeds back what it reads; some episodes are pushed until the cart leaves, and some until physics gives up."""

    gain: np.ndarray

    def act(self, observations, episodes, step):
        action = np.einsum("nd,ad->na", observations, self.gain)
        action[episodes % 5 == 1, 0] += 20.0
        action[(episodes % 7 == 3) & (step > 4), 0] = 1e100
        return action

    @property
    def digest(self):
        return "pushing"


@dataclass(frozen=True, eq=False)
class Remembering(Policy):
    """Answers the mean of all that it has read, which takes a memory of every episode."""

    total: np.ndarray | None = None

    def start(self, n):
        return Remembering(np.zeros((n, 4)))

    def act(self, observations, episodes, step):
        self.total[episodes] += observations
        return self.total[episodes, :2] / (step + 1)

    @property
    def digest(self):
        return "remembering"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return rig_world(
        tmp_path_factory.mktemp("world"), noise=0.1, healthy={"qpos[rail]": (-1.0, 0.01)}, start_noise=0.001
    )


@pytest.fixture(scope="module")
def fibre():
    return VARIED.draw(9, rng=np.random.default_rng(0))


POLICIES = [Pushing(np.random.default_rng(1).standard_normal((2, 4))), Remembering()]


@pytest.fixture(scope="module", params=POLICIES, ids=lambda policy: policy.digest)
def policy(request):
    return request.param


@pytest.fixture(scope="module")
def together(world, fibre, policy):
    """All at once, on one thread."""
    done = rollout(world, policy, rng=3, fibre=fibre, episodes=EPISODES, threads=1, batch=1000, name="it")
    if isinstance(policy, Pushing):
        assert done.diverged.any()
        assert done.terminated.any()
        assert len(set(done.lengths.tolist())) > 3
    return done


@given(
    batch=st.one_of(st.none(), st.integers(1, 40), st.sampled_from([64, 256])),
    threads=st.sampled_from([0, 1, 2, 4]),
    halving=st.sampled_from([2, 8, 1000]),
)
@settings(max_examples=25, deadline=None)
def test_same_seed_same_bytes(world, fibre, policy, together, batch, threads, halving):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rollout_module, "_WORTH_HALVING", halving)
        done = rollout(world, policy, rng=3, fibre=fibre, episodes=EPISODES, threads=threads, batch=batch, name="it")
    assert equal(done, together)
    for name in ("observations", "actions", "rewards", "qpos", "qvel"):
        assert getattr(done, name).tobytes() == getattr(together, name).tobytes()


def test_same_bytes_of_a_robot_with_contacts():
    hopper = World.gymnasium("Hopper", noise=0.01)
    fibre = Randomization(
        {"body_inertial[*]": Change("scale", 0.7, 1.3), "actuator_delay": Change("set", 0.0, 0.02)}
    ).draw(30, rng=np.random.default_rng(0))
    policy = LinearPolicy(0.1 * np.random.default_rng(0).standard_normal((3, 11)), np.zeros(11), np.ones(11))
    one, *others = (
        rollout(hopper, policy, rng=0, fibre=fibre, episodes=10, steps=40, threads=threads, batch=batch)
        for threads in (1, 2, 3)
        for batch in (64, 256)
    )
    for other in others:
        assert equal(one, other)
        for name in ("observations", "actions", "rewards", "qpos", "qvel"):
            assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("batch", [None, 1, 5, 256])
def test_a_streamed_file_is_the_file_of_the_whole(world, fibre, policy, together, tmp_path, batch, threads):
    digest = rollout_to_parquet(
        tmp_path / "streamed.parquet",
        world,
        policy,
        rng=3,
        fibre=fibre,
        episodes=EPISODES,
        threads=threads,
        batch=batch,
        name="it",
    )
    assert digest == write_log(tmp_path / "whole.parquet", together)
    assert (tmp_path / "streamed.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert equal(read_log(tmp_path / "streamed.parquet"), together)
    assert equal(concatenate(list(iterate_log(tmp_path / "streamed.parquet"))), together)


def test_a_generator_goes_on_after_the_last_episode(world):
    policy = Constant(np.zeros(2))
    rng, batched = np.random.default_rng(0), np.random.default_rng(0)
    one = [rollout(world, policy, rng=rng, episodes=5) for _ in range(2)]
    two = [rollout(world, policy, rng=batched, episodes=5, batch=2) for _ in range(2)]
    assert equal(one[0], two[0])
    assert equal(one[1], two[1])


def test_a_table_of_actions_is_read_by_the_number_of_the_episode(world):
    actions = np.random.default_rng(0).standard_normal((7, 20, 2))
    done = rollout(world, Scripted(actions), rng=0, episodes=7, batch=3, until_terminated=False)
    np.testing.assert_array_equal(done.actions, actions)


def test_a_batch_of_the_same_members_keeps_its_simulations(world, fibre, monkeypatch):
    made = []
    original = Simulator.__init__

    def counted(self, *arguments):
        made.append(arguments)
        original(self, *arguments)

    monkeypatch.setattr(Simulator, "__init__", counted)
    rollout(world, Constant(np.zeros(2)), rng=0, episodes=10, batch=4)
    assert len(made) == 2  # the last batch is smaller
    rollout(world, Constant(np.zeros(2)), rng=0, fibre=fibre, episodes=1, batch=3)
    assert len(made) == 2 + 3


@pytest.mark.parametrize(("batch", "episodes"), [(None, 4), (3, 9), (2, 5), (1, 3)])
def test_progress_counts_steps_of_all_batches_together(tmp_path, batch, episodes):
    told = []
    rollout(rig_world(tmp_path), Constant(np.zeros(2)), rng=0, episodes=episodes, batch=batch, progress=told.append)
    assert told == list(range(1, 21))


def test_batches_of_nothing_are_refused(world):
    with pytest.raises(WorldError, match="batches of at least one episode, got 0"):
        rollout(world, Constant(np.zeros(2)), rng=0, batch=0)


def test_nonsense_is_named_by_the_number_of_the_episode_and_leaves_no_file(world, tmp_path):
    actions = np.zeros((9, 20, 2))
    actions[7, 2, 0] = np.nan
    with pytest.raises(PolicyError, match="answered nan for actuator 'push' in episode 7, control step 2"):
        rollout_to_parquet(tmp_path / "log.parquet", world, Scripted(actions), rng=0, episodes=9, batch=3)
    assert not list(tmp_path.iterdir())


def test_short_episodes_take_no_room_for_long_ones(world):
    """What is kept owns no more memory than it shows."""
    done = rollout(world, Constant(np.array([50.0, 0.0])), rng=0, fibre=members("body_mass[cart]", "set", [1.0, 2.0]))
    assert done.lengths.max() < 10
    for name in ("observations", "actions", "rewards", "qpos", "qvel"):
        array = getattr(done, name)
        owner = array if array.base is None else array.base
        assert owner.nbytes == array.nbytes, name
    assert equal(done, replace(done))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("batch", [None, 70, 256])
def test_a_policy_is_started_once_for_all_episodes(tmp_path, threads, batch):
    """A table has a row of actions for every episode of the rollout, however they are stepped."""
    world, asked = rig_world(tmp_path), []

    class Counting(ActionTable):
        def start(self, n):
            asked.append(n)
            return super().start(n)

    actions = np.random.default_rng(0).uniform(-1, 1, (300, 5, 2))
    done = rollout(world, Counting(actions), rng=0, episodes=300, steps=5, threads=threads, batch=batch)
    assert asked == [300]
    assert np.array_equal(done.actions, actions)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"policy": lambda seen: seen}, PolicyError, "needs a Policy, got function; CallablePolicy makes one of a fun"),
        ({"fibre": VARIED}, WorldError, "fibre is a Randomization, from which worlds are drawn first"),
        ({"fibre": {"body_mass[cart]": {"scale": 2.0}}}, WorldError, "an Ensemble, got dict; Ensemble.single makes"),
        ({"episodes": 2.5}, WorldError, "episodes is a whole number, got 2.5"),
        ({"batch": "64"}, WorldError, "batch is a whole number, got 64"),
        ({"threads": -3}, WorldError, "threads is a whole number, got -3"),
    ],
)
def test_what_is_no_rollout(tmp_path, change, kind, message):
    asked = {"world": rig_world(tmp_path), "policy": Constant(np.ones(2)), "rng": 0, "steps": 2} | change
    with pytest.raises(kind, match=message):
        rollout(**asked)
    with pytest.raises(kind, match=message):
        rollout_to_parquet(tmp_path / "log.parquet", **asked)
    assert not (tmp_path / "log.parquet").exists()


def test_arguments_in_another_order_are_named(tmp_path):
    with pytest.raises(PolicyError, match=r"a rollout needs a Policy, got .*Path"):
        rollout_to_parquet(rig_world(tmp_path), Constant(np.ones(2)), tmp_path / "log.parquet")
